"""A Deployment on the real control plane follows what KEDA measures; its pods are processes that answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import Cluster, until
from tests.cluster.objects import GPU, deployment, scaled_object

pytestmark = pytest.mark.cluster


class ScaleSignal:
    """What a gateway says at `/scale/NAME`, on loopback."""

    value = 0

    def __init__(self) -> None:
        signal = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"value": signal.value}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/scale/studio"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def signal() -> Iterator[ScaleSignal]:
    signal = ScaleSignal()
    yield signal
    signal.server.shutdown()
    signal.server.server_close()


def test_a_deployment_follows_the_signal(cluster: Cluster, namespace: str, signal: ScaleSignal) -> None:
    """0 → 1 → 2 → 0: each pod on a node of its own that came for it, and a process at its own address."""
    cluster.without_nodes("gpu")
    cluster.nodes.pools = [GPU]
    cluster.api.apply(deployment(namespace))
    cluster.api.apply(scaled_object(namespace, signal.url))
    signal.value = 1
    (pod,) = until(lambda: cluster.ready(namespace), 60, "one is ready")
    assert httpx.get(f"http://{pod['status']['podIP']}:7860/easel/load").json()["phase"] == "ready"
    signal.value = 2
    both = until(lambda: len(found := cluster.ready(namespace)) == 2 and found, 60, "two are ready")
    assert len({pod["spec"]["nodeName"] for pod in both}) == 2
    said = {(reason, message) for _, reason, message in cluster.events(namespace)}
    assert {"Pulled", "Created", "Started"} <= {reason for reason, _ in said}
    assert any(reason == "Nominated" and "nodeclaim/gpu-" in message for reason, message in said)
    signal.value = 0
    until(lambda: not cluster.pods(namespace), 90, "all are gone")
    cluster.without_nodes("gpu")
    assert ("Killing", "Stopping container studio") in {
        (each[1], each[2]) for each in cluster.events(namespace)
    }
