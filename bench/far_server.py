"""A server far away: `python -m bench.far_server FILE LATENCY RATE`. Prints its port; ends with its parent.

Each request waits LATENCY seconds; each connection carries RATE bytes a second. It answers a hub's client too
(`/org/repo/resolve/main/model.safetensors`).
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_STEP = 256 * 1024


def serve(file: Path, latency: float, rate: float) -> None:
    """Serve until standard input ends."""
    size = file.stat().st_size
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            """Send the file, or the range of it that is asked for."""
            time.sleep(latency)
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            begin = int(found[1]) if found else 0
            end = min(size, int(found[2]) + 1) if found and found[2] else size
            self.send_response(206 if found else 200)
            for name, value in (
                ("Content-Length", str(end - begin)),
                ("Accept-Ranges", "bytes"),
                ("ETag", f'"{digest}"'),
                ("X-Repo-Commit", "a" * 40),
            ):
                self.send_header(name, value)
            if found:
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
            self.end_headers()
            if self.command == "GET":
                self._send(begin, end)

        do_HEAD = do_GET

        def _send(self, begin: int, end: int) -> None:
            began, position = time.monotonic(), begin
            with file.open("rb") as content:
                while position < end:
                    position += os.sendfile(
                        self.connection.fileno(), content.fileno(), position, min(_STEP, end - position)
                    )
                    ahead = (position - begin) / rate - (time.monotonic() - began)
                    if ahead > 0:
                        time.sleep(ahead)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class QuietServer(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *args: object) -> None:
            """Clients come and go."""

    server = QuietServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
