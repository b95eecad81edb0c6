"""Between browser and studio: a line that can be cut, and a server that mounts the studio below a path."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host"}


class Line:
    """A TCP proxy to `port` of this machine. `cut()` ends what goes over it and lets nothing through until
    `mend()`."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        self._is_cut = True
        for one in list(self._open):
            # Closing alone would leave the thread that reads from it waiting.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._is_cut:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open |= {near, far}
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            self._open.discard(one)


@contextlib.contextmanager
def line(port: int) -> Iterator[Line]:
    """A line to a port of this machine."""
    one = Line(port)
    try:
        yield one
    finally:
        one.close()


@contextlib.contextmanager
def mounted(url: str, path: str) -> Iterator[str]:
    """The address, without a slash at its end, of a server that has the one at `url` below `path` and nothing
    elsewhere."""
    client = httpx.AsyncClient(base_url=url, timeout=None, trust_env=False)

    async def passed_on(request: Request) -> Response:
        if not request.url.path.startswith(f"{path}/"):
            return PlainTextResponse("nothing is here", 404)
        asked = client.build_request(
            request.method,
            request.url.path.removeprefix(path),
            params=request.query_params,
            headers=[(name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP],
            content=await request.body(),
        )
        answer = await client.send(asked, stream=True)

        async def body() -> AsyncIterator[bytes]:
            async with contextlib.aclosing(answer):
                async for part in answer.aiter_raw():
                    yield part

        headers = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
        return StreamingResponse(body(), answer.status_code, headers)

    app = Starlette()
    app.add_route("/{path:path}", passed_on, methods=["GET", "POST", "DELETE", "PATCH", "PUT"])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
    server.should_exit = server.force_exit = True
    thread.join(10)
