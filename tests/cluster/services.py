"""A stand-in for a cluster's DNS and kube-proxy: an HTTP proxy that knows the names of Services.

Programs that are given it as HTTP_PROXY reach `http://NAME.NAMESPACE.svc:PORT` as a pod would: a ready pod
that the Service selects, drawn by chance for each request.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.cluster.api import Api, ApiRefusalError, Object
from tests.cluster.ports import cluster_port


class NoEndpointError(Exception):
    """No ready pod stands behind the name."""


class ServiceProxy:
    """Listens on a loopback port of its own."""

    def __init__(self) -> None:
        self.api: Api | None = None
        # Addresses, `host:port`, that stand for a (namespace, name) instead of its pods: a program that a
        # test runs by itself.
        self.instead: dict[tuple[str, str], str] = {}
        # Requests that nobody answered, by namespace.
        self.in_vain: Counter[str] = Counter()
        self._client = httpx.Client(timeout=10, trust_env=False)
        self._server = ThreadingHTTPServer(("127.0.0.1", cluster_port()), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="services", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def address(self, host: str, port: int) -> str:
        """Where a request to this Service goes now.

        Raises:
            NoEndpointError: nowhere.
        """
        name, namespace, *_ = [*host.split("."), ""]
        if instead := self.instead.get((namespace, name)):
            return instead
        assert self.api
        try:
            spec = self.api.get("v1", "Service", name, namespace)["spec"]
        except ApiRefusalError as refusal:
            raise NoEndpointError(str(refusal)) from refusal
        served = next((each for each in spec["ports"] if each["port"] == port), None)
        selector = ",".join(f"{key}={value}" for key, value in spec.get("selector", {}).items())
        pods = self.api.list("v1", "Pod", namespace, labelSelector=selector)
        if not served or not (ready := [pod for pod in pods if is_ready(pod)]):
            raise NoEndpointError(f"{host}:{port} has no ready pod")
        pod = random.choice(ready)
        return f"{pod['status']['podIP']}:{target_port(pod, served.get('targetPort', port))}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                path = asked.path + (f"?{asked.query}" if asked.query else "")
                try:
                    address = proxy.address(asked.hostname or "", asked.port or 80)
                    answer = proxy._client.get(f"http://{address}{path}", headers={"Host": asked.netloc})
                    code, body = answer.status_code, answer.content
                except (NoEndpointError, httpx.TransportError) as error:
                    proxy.in_vain[(asked.hostname or ".").split(".")[1]] += 1
                    code, body = 502, str(error).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def is_ready(pod: Object) -> bool:
    """Whether traffic may go to a pod."""
    conditions = pod["status"].get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def target_port(pod: Object, wanted: int | str) -> int:
    """A port of a pod by its number or name."""
    if isinstance(wanted, int):
        return wanted
    ports = [port for each in pod["spec"]["containers"] for port in each.get("ports", [])]
    return next(int(port["containerPort"]) for port in ports if port.get("name") == wanted)
