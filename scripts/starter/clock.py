"""Training by the clock: how far along a budget of minutes is, across restarts."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Clock:
    """Minutes spent of a budget. Time before a restart counts; time in between does not."""

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        """`spent` is in seconds, as `seconds` gave it before the restart."""
        self._budget = minutes * 60.0
        self._before = spent
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self._before + time.monotonic() - self._start

    @property
    def done(self) -> float:
        """How much of the budget is used up, from 0 to 1."""
        return min(1.0, self.seconds / self._budget) if self._budget > 0 else 1.0


def pace(optimiser: torch.optim.Optimizer, top: float, step: int, done: float) -> None:
    """Set the learning rate: a short climb, a plateau, then a cosine down to a fiftieth.

    A parameter group with a `pace` of its own learns at that share of it.
    """
    climb = min(1.0, (step + 1) / 150)
    fall = 1.0 if done < 0.3 else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7))
    for group in optimiser.param_groups:
        group["lr"] = top * climb * fall * group.get("pace", 1.0)
