"""The gateway's HTTP side: the parts that answer, and the server they answer through."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping

import uvicorn

from easel.gateway.app import app
from easel.gateway.attempts import Attempts
from easel.gateway.audit import Audit
from easel.gateway.client_secret import ClientSecret
from easel.gateway.config import CONSOLE, Team
from easel.gateway.console import ConsolePages
from easel.gateway.door import Door
from easel.gateway.ended import Ended
from easel.gateway.identity import Identity
from easel.gateway.keyring import Keyring
from easel.gateway.links import Links
from easel.gateway.member_door import MemberDoor
from easel.gateway.operator_api import OperatorApi
from easel.gateway.relay import Relay
from easel.gateway.replicas import Backend, Fleet
from easel.gateway.rights import Right, Rights
from easel.gateway.sessions import Sessions
from easel.gateway.sign_on import SignOn
from easel.gateway.tokens import Tokens


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the gateway stops its parts in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Service:
    """The running server.

    `keyring` signs, `key` is Caddy's, `operator_token` the operator's; `address` is where it will
    listen;
    `url` gives the public address of an endpoint or the console, `team` the team as it is configured now.
    """

    def __init__(
        self, keyring: Keyring, key: str, operator_token: str, address: str, *,
        fleets: Mapping[str, Fleet], backend: Backend, tokens: Tokens, links: Links,
        url: Callable[[str], str], team: Callable[[], Team], client_secret: ClientSecret,
        rights: Rights, ended: Ended, relay: Relay, audit: Audit, operator: Right,
    ) -> None:  # fmt: skip
        identity = Identity(keyring, tokens, Sessions(keyring, rights), Attempts(), rights, ended)
        sign_on = SignOn(keyring, team, client_secret, backend.events)
        members = MemberDoor(identity, sign_on, url, audit)
        api = OperatorApi(fleets, backend, tokens, links, url, keyring, relay, ended, audit, operator)
        routes = app(
            Door(key, identity, members, fleets.get, address, keyring.vouch, relay, rights, audit),
            members,
            api,
            ConsolePages(api, backend, lambda: team().team),
            operator_token,
            keyring.verifier(CONSOLE),
        )
        self._server = _Server(
            uvicorn.Config(
                routes, log_config=None, access_log=False, lifespan="off", server_header=False, ws="none",
                # Longer than Caddy keeps an idle connection, so that it never writes into a closing one.
                timeout_keep_alive=300, timeout_graceful_shutdown=1,
                # Caddy bears headers of 1 MiB. h11's 16 KiB refuse an address longer than that, or take it,
                # by how it happens to arrive.
                http="h11", h11_max_incomplete_event_size=2 << 20,
            )
        )  # fmt: skip
        self._task: asyncio.Task[None] | None = None

    def start(self, listener: socket.socket) -> None:
        """Serve on `listener`."""
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="server")

    def ended(self) -> bool:
        """Whether it ended by itself, which it should not."""
        return self._task is not None and self._task.done()

    async def stop(self) -> None:
        """Finish what is being answered, for a second at most."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
