"""A gateway on this machine: all is in EASEL_HOME, and a replica is a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from easel.gateway.access import Access, End, FirstLinks, SecretFile, SecretStore, Token, token_file
from easel.gateway.config import CONSOLE, Config, Endpoint
from easel.gateway.disk import RecordFile, RecordList
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.replicas import Backend, OpenRequests, Vouch
from easel.gateway.replicas.local import Command, LocalBackend
from easel.remark import remark

# Seconds until a first token that could not be kept is tried again.
_AGAIN = 15.0


class LocalDeployment:
    """All is in EASEL_HOME, and a replica is a process."""

    outlived = False
    leaves_within = 0.0
    inner = None

    def __init__(self, home: Home, events: Events, command: Command | None = None) -> None:
        self._home = home
        self._events = events
        self._command = command
        # Endpoints whose first token could not be kept.
        self._without: list[str] = []

    async def open(self, stop: asyncio.Event) -> None:
        """The configuration is there already."""

    def secrets(self) -> SecretStore:
        """EASEL_HOME/secret."""
        return SecretFile(self._home)

    async def tokens(self) -> RecordList[Token]:
        """EASEL_HOME/tokens.json."""
        return token_file(self._home.tokens)

    async def ended(self) -> RecordList[End]:
        """EASEL_HOME/ended.json."""
        return RecordFile(self._home.ended, "ended", End)

    async def backend(
        self, vouch: Vouch, config: Callable[[], Config], open_requests: OpenRequests
    ) -> Backend:
        """Processes of this machine."""
        return LocalBackend(self._home, self._events, command=self._command, vouch=vouch)

    async def welcome(self, config: Config, access: Access) -> None:
        """First tokens are made here, and their plaintext kept for the operator."""
        self._without = [
            name for name in (CONSOLE, *config.endpoints) if not self._ensure(name, access.links)
        ]

    async def follow(self, config: Callable[[], Config], access: Access) -> None:
        """Nothing changes but the files in EASEL_HOME/config, which the gateway looks at itself; only first
        tokens that a full disk did not take are tried again."""
        while True:
            await asyncio.sleep(_AGAIN)
            self._without = [
                name for name in self._without if not self._ensure(name, access.links, quiet=True)
            ]

    async def close(self) -> None:
        """Nothing was opened."""

    def _ensure(self, name: str, links: FirstLinks, *, quiet: bool = False) -> bool:
        """Have an endpoint's first token; a door without one is better than none."""
        try:
            links.ensure(name)
        except OSError as error:
            if not quiet:
                words = "it has no first link yet, which cannot be kept: {why}"
                self._events.add(name, None, "token", remark("first_link_not_kept", words, why=error))
            return False
        return True

    async def sources(self, endpoint: Endpoint) -> Mapping[str, str]:
        """None but those of the environment: who starts easel has set them there."""
        return {}
