"""An HTTP server that misbehaves on order."""

from __future__ import annotations

import hashlib
import json
import random
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Handler = Callable[["Request"], bool]


def model_bytes(size: int, seed: int = 0, metadata: dict[str, str] | None = None, key: str = "w") -> bytes:
    """A whole safetensors file of exactly `size` bytes, of noise that no other seed makes."""
    body = size - 512
    header = {
        "__metadata__": metadata or {},
        key: {"dtype": "U8", "shape": [body], "data_offsets": [0, body]},
    }
    text = json.dumps(header).encode()
    text += b" " * (504 - len(text))
    return struct.pack("<Q", 504) + text + random.Random(seed).randbytes(body)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Manners:
    """How one file is served. Speeds in bytes a second, times in seconds."""

    content: bytes
    etag: str = '"one"'
    ranges: bool = True
    status: int = 0
    body: bytes = b""
    type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    latency: float = 0.0
    rate: float = 0.0
    cut_after: list[int] = field(default_factory=list)
    """The next answers break off after so many bytes."""
    stall_after: list[int] = field(default_factory=list)
    """The next answers go silent after so many bytes."""
    cut_chance: float = 0.0
    before: Handler | None = None
    """Asked first; True if it has answered."""
    sent: int = 0
    requests: int = 0


@dataclass
class Request:
    """What came, and how to answer it by hand."""

    handler: BaseHTTPRequestHandler
    path: str
    headers: dict[str, str]
    count: int

    def answer(self, status: int, body: bytes = b"", **headers: str) -> bool:
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("Content-Length", str(len(body)))
        self.handler.end_headers()
        self.handler.wfile.write(body)
        return True

    def json(self, status: int, found: object, **headers: str) -> bool:
        return self.answer(status, json.dumps(found).encode(), Content_Type="application/json", **headers)


class Serving:
    """The server: `files` by path, everything seen in `seen` as (path, headers)."""

    def __init__(self) -> None:
        self.files: dict[str, Manners] = {}
        self.fallback: Handler | None = None
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        owner = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                owner.answer(self)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *args: object) -> None:
                pass  # the other side went away, as ordered

        self.server = Server(("127.0.0.1", 0), Answering)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"

    def put(self, path: str, content: bytes, **manners: object) -> Manners:
        self.files[path] = Manners(content, **manners)  # type: ignore[arg-type]
        return self.files[path]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self.lock:
            self.seen.append((path, headers))
            file = self.files.get(path) or self.files.get(path.split("?")[0])
            if file is not None:
                file.requests += 1
        count = file.requests if file is not None else 0
        request = Request(handler, path, headers, count)
        before = file.before if file is not None else self.fallback
        if before is not None and before(request):
            return
        if file is None:
            request.json(404, {"error": "no such file"})
            return
        if file.latency:
            time.sleep(file.latency)
        if file.status:
            request.answer(file.status, file.body, Content_Type=file.type, **file.headers)
            return
        self._send(handler, file, headers)

    def _send(self, handler: BaseHTTPRequestHandler, file: Manners, headers: dict[str, str]) -> None:
        size = len(file.content)
        begin, end, status = _asked(file, headers)
        if begin >= size and status == 206:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{size}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(status)
        handler.send_header("Content-Type", file.type)
        handler.send_header("Content-Length", str(end - begin))
        if file.etag:
            handler.send_header("ETag", file.etag)
        if status == 206:
            handler.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        for name, value in file.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            self._send_body(handler, file, file.content[begin:end])

    def _send_body(self, handler: BaseHTTPRequestHandler, file: Manners, content: bytes) -> None:
        with self.lock:
            cut = file.cut_after.pop(0) if file.cut_after else None
            stall = file.stall_after.pop(0) if file.stall_after else None
        if cut is None and random.random() < file.cut_chance:
            cut = random.randrange(len(content))
        last = len(content) if cut is None else min(cut, len(content))
        step = 16384 if file.rate else 1 << 20
        began, sent = time.monotonic(), 0
        while sent < last:
            block = content[sent : min(last, sent + step)]
            handler.wfile.write(block)
            sent += len(block)
            with self.lock:
                file.sent += len(block)
            if stall is not None and sent >= stall and sent != cut:
                self.closing.wait(60)
                return
            if file.rate:
                time.sleep(max(0.0, sent / file.rate - (time.monotonic() - began)))
        if cut is not None and cut <= len(content):
            handler.close_connection = True
            handler.connection.close()


def _asked(file: Manners, headers: dict[str, str]) -> tuple[int, int, int]:
    """The first byte, the one past the last, and the status: 206 for a range that the server gives."""
    size = len(file.content)
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
    if not found or not file.ranges or headers.get("if-range", file.etag) != file.etag:
        return 0, size, 200
    return int(found[1]), min(size, int(found[2]) + 1) if found[2] else size, 206


@contextmanager
def serving() -> Iterator[Serving]:
    """A server on a free port of loopback."""
    server = Serving()
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.server.shutdown()
        server.server.server_close()
        thread.join()
