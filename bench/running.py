"""Easel as a user runs it, for the length of a measurement: `easel up` on free ports with a home of its
own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
EASEL = Path(sys.executable).parent / "easel"


@dataclass(frozen=True)
class Running:
    """A running Easel: where its one endpoint answers, a token for it, and its home."""

    url: str
    token: str
    home: Path
    began: float

    def client(self) -> httpx.Client:
        """A client that passes the door."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=600, trust_env=False
        )


@contextlib.contextmanager
def running(home: Path) -> Iterator[Running]:
    """Start, wait until the studio is ready, and stop at the end."""
    port = free_port()
    environment = {**os.environ, "EASEL_HOME": str(home), "EASEL_PORT": str(port), "EASEL_STACK": "local"}
    began = time.monotonic()
    process = subprocess.Popen(
        [EASEL, "up"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_ready(process, environment)
        token = subprocess.run(
            [EASEL, "token", "new", "--endpoint", "studio", "--name", f"bench-{port}"],
            cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        yield Running(f"http://127.0.0.1:{port}", token, home, began)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _wait_until_ready(process: subprocess.Popen[bytes], environment: dict[str, str]) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"easel up ended with {process.returncode}; run it by hand to see why")
        asked = subprocess.run(
            [EASEL, "status", "--json"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode == 0 and '"ready"' in asked.stdout:
            endpoint = json.loads(asked.stdout)["endpoints"][0]
            if endpoint["state"] == "ready":
                return
        time.sleep(0.5)
    raise SystemExit("the studio was not ready after 180 s; run `make up` by hand to see why")


def free_port() -> int:
    """A port whose neighbour below, the console's, is free as well."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            with contextlib.suppress(OSError):
                second.bind(("127.0.0.1", port - 1))
                return port
