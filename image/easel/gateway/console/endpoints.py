"""What is served, as the console and the server see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from easel.gateway.config import Config, Team
from easel.gateway.replicas import Backend, Fleet


@dataclass(frozen=True)
class Endpoints:
    """The fleet of each endpoint by name, and what runs their replicas; `url` gives the public address of an
    endpoint or the console, `config` what is configured now."""

    fleets: Mapping[str, Fleet]
    backend: Backend
    url: Callable[[str], str]
    config: Callable[[], Config]

    def team(self) -> Team:
        """The team as it is configured now."""
        return self.config().team

    def name_of(self, key: str) -> str:
        """The endpoint, or the console, that is asked for by its name or by its host."""
        return self.config().hosts.get(key.lower(), key)
