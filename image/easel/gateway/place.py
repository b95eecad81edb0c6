"""What differs between a gateway on a laptop and one in the cloud: where configuration, tokens and the secret
are, what a replica is, and how the first token comes about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from easel.gateway.backend import Backend
from easel.gateway.config import CONSOLE, Config, Endpoint
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.keyring import SecretFile, SecretStore
from easel.gateway.links import Links
from easel.gateway.local import LocalBackend
from easel.gateway.passing import Passing
from easel.gateway.probe import Vouch
from easel.gateway.slot import Command
from easel.gateway.tokens import TokenFile, Tokens, TokenStore


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

    async def store(self) -> TokenStore:
        """Where tokens are kept. Raises GatewayError."""
        ...

    async def backend(self, vouch: Vouch, config: Callable[[], Config], passing: Passing) -> Backend:
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

    async def open(self, stop: asyncio.Event) -> None:
        """The configuration is there already."""

    def secrets(self) -> SecretStore:
        """EASEL_HOME/secret."""
        return SecretFile(self._home)

    async def store(self) -> TokenStore:
        """EASEL_HOME/tokens.json."""
        return TokenFile(self._home.tokens)

    async def backend(self, vouch: Vouch, config: Callable[[], Config], passing: Passing) -> Backend:
        """Processes of this machine."""
        return LocalBackend(self._home, self._events, command=self._command, vouch=vouch)

    async def welcome(self, config: Config, tokens: Tokens, links: Links) -> None:
        """First tokens are made here, and their plaintext kept for the operator."""
        for name in (CONSOLE, *config.endpoints):
            links.ensure(name)

    async def follow(self, config: Callable[[], Config], tokens: Tokens, links: Links) -> None:
        """Nothing changes but the files in EASEL_HOME/config, which the gateway looks at itself."""

    async def sources(self, endpoint: Endpoint) -> Mapping[str, str]:
        """None but those of the environment: who starts easel has set them there."""
        return {}
