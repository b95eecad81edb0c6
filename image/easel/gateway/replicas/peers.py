"""What the team's other gateways said of themselves last. On one machine nobody says anything."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from easel.gateway.model_sync import ModelStatus

# Seconds that a word counts: a gateway that says no more holds nobody any more.
_LASTS = 5.0
_REMEMBERED = 20_000


@dataclass(frozen=True)
class Assignment:
    """A caller's replica, and when it was chosen, in Unix seconds."""

    replica: str
    at: float


@dataclass(frozen=True)
class PeerEndpoint:
    """How one endpoint is at one gateway: requests that it holds, whether somebody asked who is not served
    yet, who was sent where lately, and how the models are, where that gateway fetches them."""

    held: int = 0
    asked: bool = False
    assigned: Mapping[str, Assignment] = field(default_factory=dict)
    models: ModelStatus | None = None


class Peers:
    """The words of all others, by gateway and endpoint."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[float, Mapping[str, PeerEndpoint]]] = {}
        # Kept beyond the gateway that chose: its callers come to another one now.
        self._assigned: OrderedDict[tuple[str, str], Assignment] = OrderedDict()

    def heard(self, gateway: str, endpoints: Mapping[str, PeerEndpoint]) -> None:
        """Take what a gateway says now."""
        self._said[gateway] = time.monotonic(), endpoints
        for name, one in endpoints.items():
            for user, assigned in one.assigned.items():
                known = self._assigned.get((name, user))
                if known is None or known.at < assigned.at:
                    self._assigned[name, user] = assigned
                    self._assigned.move_to_end((name, user))
        while len(self._assigned) > _REMEMBERED:
            self._assigned.popitem(last=False)

    def keep(self, gateways: Collection[str]) -> None:
        """These are there; what others said is over."""
        self._said = {name: said for name, said in self._said.items() if name in gateways}

    def held(self, endpoint: str) -> int:
        """How many requests for the endpoint wait at other doors."""
        return sum(one.held for one in self._of(endpoint))

    def asked(self, endpoint: str) -> bool:
        """Whether somebody asked another gateway for the endpoint and is not served yet."""
        return any(one.asked for one in self._of(endpoint))

    def assigned(self, endpoint: str, user: str) -> Assignment | None:
        """Where another gateway sent somebody last."""
        return self._assigned.get((endpoint, user))

    def models(self, endpoint: str) -> ModelStatus | None:
        """How the endpoint's models are, in the words of who fetches them; None if nobody says."""
        return next((one.models for one in self._of(endpoint) if one.models), None)

    def _of(self, endpoint: str) -> list[PeerEndpoint]:
        now = time.monotonic()
        return [said[endpoint] for at, said in self._said.values() if now - at < _LASTS and endpoint in said]
