"""What stands in the place of an instance that was given up."""

from __future__ import annotations

from dataclasses import dataclass

from easel.gateway.backend import Replica


@dataclass(frozen=True)
class Stone:
    """What stands for an instance that is not there and will not come by itself: it counts as one that is
    wanted, so that no second attempt begins beside it."""

    id: str
    at: float
    text: str
    budget: bool = False

    def replica(self) -> Replica:
        """What it is to the fleet."""
        return Replica(self.id, "failed", self.at, self.text, given_up=True)
