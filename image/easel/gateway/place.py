"""What differs between a gateway on a laptop and one in the cloud: where configuration, tokens and the secret
are, what a replica is, and how the first token comes about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from easel.gateway.config import CONSOLE, Config, Endpoint
from easel.gateway.ended import End
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.keyring import SecretFile, SecretStore
from easel.gateway.links import Links
from easel.gateway.records import RecordFile, Store
from easel.gateway.replicas import Backend, OpenRequests, Vouch
from easel.gateway.replicas.local import Command, LocalBackend
from easel.gateway.tokens import Token, Tokens, token_file

# Seconds until a first token that could not be kept is tried again.
_AGAIN = 15.0


class Place(Protocol):
    """Where a gateway runs."""

    # Whether replicas run on when the gateway ends.
    outlived: bool

    async def open(self, stop: asyncio.Event) -> None:
        """Have the configuration in EASEL_HOME/config. Raises GatewayError."""
        ...

    def secrets(self) -> SecretStore:
        """Where the secrets are kept that sign."""
        ...

    async def store(self) -> Store[Token]:
        """Where tokens are kept. Raises GatewayError."""
        ...

    async def ended(self) -> Store[End]:
        """Where ended sessions are kept. Raises GatewayError."""
        ...

    async def backend(self, vouch: Vouch, config: Callable[[], Config], passing: OpenRequests) -> Backend:
        """Who starts replicas, and asks them how they do with what `vouch` signs."""
        ...

    async def welcome(self, config: Config, tokens: Tokens, links: Links) -> None:
        """See that every endpoint and the console have their first token."""
        ...

    async def follow(self, config: Callable[[], Config], tokens: Tokens, links: Links) -> None:
        """Follow what changes elsewhere, until cancelled."""
        ...

    async def sources(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Variables for those that an endpoint's models come from, such as tokens. Raises SupplyRefused."""
        ...


class LocalPlace:
    """All is in EASEL_HOME, and a replica is a process."""

    outlived = False

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

    async def store(self) -> Store[Token]:
        """EASEL_HOME/tokens.json."""
        return token_file(self._home.tokens)

    async def ended(self) -> Store[End]:
        """EASEL_HOME/ended.json."""
        return RecordFile(self._home.ended, "ended", End)

    async def backend(self, vouch: Vouch, config: Callable[[], Config], passing: OpenRequests) -> Backend:
        """Processes of this machine."""
        return LocalBackend(self._home, self._events, command=self._command, vouch=vouch)

    async def welcome(self, config: Config, tokens: Tokens, links: Links) -> None:
        """First tokens are made here, and their plaintext kept for the operator."""
        self._without = [name for name in (CONSOLE, *config.endpoints) if not self._ensure(name, links)]

    async def follow(self, config: Callable[[], Config], tokens: Tokens, links: Links) -> None:
        """Nothing changes but the files in EASEL_HOME/config, which the gateway looks at itself; only first
        tokens that a full disk did not take are tried again."""
        while True:
            await asyncio.sleep(_AGAIN)
            self._without = [name for name in self._without if not self._ensure(name, links, quiet=True)]

    def _ensure(self, name: str, links: Links, *, quiet: bool = False) -> bool:
        """Have an endpoint's first token; a door without one is better than none."""
        try:
            links.ensure(name)
        except OSError as error:
            if not quiet:
                self._events.add(
                    name, None, "token", f"it has no first link yet, which cannot be kept: {error}"
                )
            return False
        return True

    async def sources(self, endpoint: Endpoint) -> Mapping[str, str]:
        """None but those of the environment: who starts easel has set them there."""
        return {}
