"""The gateway's HTTP side: the parts that answer, and the server they answer through."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from easel.gateway.access import Access, Identity, Operator
from easel.gateway.access.oidc import Login
from easel.gateway.app import app
from easel.gateway.audit import AuditLog
from easel.gateway.config import CONSOLE
from easel.gateway.console import ConsolePages, Endpoints, MetricsApi, OperatorApi
from easel.gateway.door import ForwardAuth, MemberRoutes
from easel.gateway.relay import CaddyLink


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handling: the gateway stops its parts in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """The running server: for Caddy, the operator, and whoever came through to the console."""

    def __init__(
        self, access: Access, operator: Operator, caddy: CaddyLink, endpoints: Endpoints, login: Login,
        audit: AuditLog,
    ) -> None:  # fmt: skip
        identity = Identity(access)
        members = MemberRoutes(identity, login, endpoints.url, audit)
        api = OperatorApi(endpoints, access, operator, caddy.relay, audit)
        counts = caddy.relay.counts
        self.metrics = MetricsApi(endpoints, counts, access.keyring.vouch)
        routes = app(
            ForwardAuth(
                caddy, access, identity, members, endpoints.fleets.get, audit, counts, endpoints.name_of
            ),
            members,
            api,
            self.metrics,
            ConsolePages(api, endpoints),
            operator.token,
            access.keyring.verifier(CONSOLE),
        )
        self._server = _uvicorn(routes)
        self._task: asyncio.Task[None] | None = None
        self._inner: _Uvicorn | None = None
        self._inner_task: asyncio.Task[None] | None = None

    def start(self, listener: socket.socket) -> None:
        """Serve on `listener`."""
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="server")

    def start_inner(self, routes: Starlette, listener: socket.socket) -> None:
        """Serve what the cluster asks on a listener of its own."""
        self._inner = _uvicorn(routes)
        self._inner_task = asyncio.create_task(self._inner.serve(sockets=[listener]), name="inner server")

    def ended(self) -> bool:
        """Whether it ended by itself, which it should not."""
        return self._task is not None and self._task.done()

    async def stop(self) -> None:
        """Finish what is being answered, for a second at most."""
        for server, task in ((self._inner, self._inner_task), (self._server, self._task)):
            if server is not None and task is not None:
                server.should_exit = True
                await task


def _uvicorn(routes: Starlette) -> _Uvicorn:
    return _Uvicorn(
        uvicorn.Config(
            routes, log_config=None, access_log=False, lifespan="off", server_header=False, ws="none",
            # Longer than Caddy keeps an idle connection, so that it never writes into a closing one.
            timeout_keep_alive=300, timeout_graceful_shutdown=1,
            # Caddy bears headers of 1 MiB. h11's 16 KiB refuse an address longer than that, or take it,
            # by how it happens to arrive.
            http="h11", h11_max_incomplete_event_size=2 << 20,
        )
    )  # fmt: skip
