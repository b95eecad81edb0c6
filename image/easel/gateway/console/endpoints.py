"""What is served, as the console and the server see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from easel.gateway.config import Team
from easel.gateway.replicas import Backend, Fleet


@dataclass(frozen=True)
class Endpoints:
    """The fleet of each endpoint by name, and what runs their replicas; `url` gives the public address of an
    endpoint or the console, `team` the team as it is configured now."""

    fleets: Mapping[str, Fleet]
    backend: Backend
    url: Callable[[str], str]
    team: Callable[[], Team]
