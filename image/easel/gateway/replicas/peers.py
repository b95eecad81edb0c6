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


@dataclass(frozen=True)
class PeerWord:
    """What a gateway said: when, on the monotonic clock, of which endpoints, and what each one's replicas had
    to draw then."""

    at: float
    endpoints: Mapping[str, PeerEndpoint]
    demands: Mapping[str, int]


class Peers:
    """The words of all others, by gateway and endpoint."""

    def __init__(self) -> None:
        self._said: dict[str, PeerWord] = {}
        # What the replicas of each endpoint have to draw, as `held` was told last.
        self._demands: dict[str, int] = {}
        # Kept beyond the gateway that chose: its callers come to another one now.
        self._assigned: OrderedDict[tuple[str, str], Assignment] = OrderedDict()

    def heard(self, gateway: str, endpoints: Mapping[str, PeerEndpoint]) -> None:
        """Take what a gateway says now."""
        self._said[gateway] = PeerWord(time.monotonic(), endpoints, dict(self._demands))
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

    def held(self, endpoint: str, demand: int) -> int:
        """How many requests for the endpoint wait at other doors, while its replicas have `demand` to draw.

        A word is a second old, a replica's own is not: what has come to them since is no longer held. Counted
        twice, one request would start a second replica.
        """
        self._demands[endpoint] = demand
        words = self._words(endpoint)
        held = sum(word.endpoints[endpoint].held for word in words)
        before = min((word.demands.get(endpoint, 0) for word in words), default=demand)
        return max(0, held - max(0, demand - before))

    def asked(self, endpoint: str) -> bool:
        """Whether somebody asked another gateway for the endpoint and is not served yet."""
        return any(word.endpoints[endpoint].asked for word in self._words(endpoint))

    def assigned(self, endpoint: str, user: str) -> Assignment | None:
        """Where another gateway sent somebody last."""
        return self._assigned.get((endpoint, user))

    def models(self, endpoint: str) -> ModelStatus | None:
        """How the endpoint's models are, in the words of who fetches them; None if nobody says."""
        said = (word.endpoints[endpoint].models for word in self._words(endpoint))
        return next((models for models in said if models), None)

    def _words(self, endpoint: str) -> list[PeerWord]:
        now = time.monotonic()
        return [word for word in self._said.values() if now - word.at < _LASTS and endpoint in word.endpoints]
