"""The port of a kubelet where the API asks for the logs of a pod."""

from __future__ import annotations

import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from tests.cluster.kubelet import Kubelet


class KubeletServer:
    """`GET /containerLogs/NAMESPACE/POD/CONTAINER` with `tailLines`, `previous` and `follow`, over TLS."""

    def __init__(self, kubelet: Kubelet, certificate: tuple[Path, Path], port: int) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(kubelet))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, name="kubelet port", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(kubelet: Kubelet) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query = parse_qs(asked.query)
            _, kind, namespace, pod, *_ = [*asked.path.split("/"), "", "", ""]
            try:
                log = kubelet.life(namespace, pod).log("previous" in query)
                text = log.read_text(errors="replace")
            except (StopIteration, FileNotFoundError):
                self.send_error(404)
                return
            if kind != "containerLogs":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            lines = text.splitlines(keepends=True)
            if "tailLines" in query:
                lines = lines[-int(query["tailLines"][0]) :]
            self.wfile.write("".join(lines).encode())
            if "follow" in query:
                self._follow(log, len(text.encode()), namespace, pod)

        def _follow(self, log: Path, position: int, namespace: str, pod: str) -> None:
            try:
                while kubelet.life(namespace, pod).log() == log:
                    with log.open("rb") as file:
                        file.seek(position)
                        new = file.read()
                    position += len(new)
                    self.wfile.write(new)
                    self.wfile.flush()
                    time.sleep(0.2)
            except (StopIteration, ConnectionError):
                return

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
