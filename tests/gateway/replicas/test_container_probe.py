"""When a container of one's own is up: the same for gateway, host and pod (docs/reference/instances.md)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from easel.gateway.config import Container, Endpoint
from easel.gateway.replicas import ContainerProbe, OpenRequests

ROOT = Path(__file__).resolve().parents[3]
STATUSES = (200, 204, 301, 302, 399, 400, 401, 403, 404, 500, 503)


class Answers(BaseHTTPRequestHandler):
    """Answers with the status that its path is."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.send_header("Location", "/500")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


def on_a_host(port: int, status: int, tmp_path: Path) -> bool:
    """By the program that hosts run."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"container": {"port": port, "load": "requests", "health": f"/{status}"}}))
    words = [sys.executable, "-I", ROOT / "infra/instances/host/probe.py", config]
    there = {**os.environ, "ROLE": "replica", "ADDRESS": "127.0.0.1"}
    return subprocess.run(words, env=there, capture_output=True).returncode == 0


async def by_the_gateway(port: int, status: int) -> bool:
    container = Container(port=port, load="requests", health=f"/{status}")
    probe = ContainerProbe(OpenRequests(), 5.0)
    try:
        endpoint = Endpoint(name="studio", port=port, container=container)
        return await probe.ask(endpoint, f"127.0.0.1:{port}") is not None
    finally:
        await probe.close()


@pytest.mark.anyio
@pytest.mark.parametrize("status", STATUSES)
async def test_2xx_and_3xx_are_up_wherever_it_is_asked(port: int, status: int, tmp_path: Path) -> None:
    """As kubelets have it. One that a host called up and the gateway did not was never used."""
    assert await by_the_gateway(port, status) is (status < 400)
    assert on_a_host(port, status, tmp_path) is (status < 400)
