"""What an endpoint has to do, as one number for the cluster's autoscaler.

ScaleSignal(running=3, queued=2, held=1, concurrency=8).value    # 6: of 8 that one replica takes
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScaleSignal:
    """Pictures that replicas draw and have before them, and requests `held` at the doors of all gateways.

    `asked`: somebody came who is not served yet. `floor`: replicas that there must be in any case.
    `models_missing`: nothing is to be started before the endpoint's models are there.
    """

    running: int = 0
    queued: int = 0
    held: int = 0
    asked: bool = False
    floor: int = 0
    concurrency: int = 8
    models_missing: bool = False

    @property
    def value(self) -> int:
        """The number: at least 1 while somebody waits for the first replica."""
        if self.models_missing:
            # Those that run, run on.
            return self.running + self.queued
        demand = self.running + self.queued + self.held
        return max(demand, int(self.asked), self.floor * self.concurrency)

    def as_json(self) -> dict[str, int]:
        """As `/scale/<endpoint>` tells it."""
        return {
            "value": self.value, "running": self.running, "queued": self.queued, "held": self.held,
            "asked": int(self.asked),
        }  # fmt: skip
