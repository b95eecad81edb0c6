"""How many replicas an endpoint should have: a pure function of load, limits and time.

wanted(Load(waiting=1), Scaling(min=0, max=3), now=0.0)   # 1
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Scaling:
    """The limits. `idle` and `lull` are seconds, `concurrency` is pictures that one replica draws at once."""

    min: int = 0
    max: int = 1
    idle: float = 900.0
    concurrency: int = 8
    # How long a peak keeps its replicas: loading takes longer than a lull between two pictures.
    lull: float = 60.0


@dataclass(frozen=True)
class Load:
    """What replicas report plus what waits at the door.

    `recent` is the highest sum of the three in the last `Scaling.lull` seconds; `active_at` is when somebody
    last drew, queued, waited or asked for the endpoint, on the clock of `now`, or None if nobody has.
    `asked`: somebody did who was not served yet.
    """

    running: int = 0
    queued: int = 0
    waiting: int = 0
    recent: int = 0
    active_at: float | None = None
    asked: bool = False

    @property
    def demand(self) -> int:
        """Pictures and requests that need a replica now."""
        return self.running + self.queued + self.waiting


def wanted(load: Load, spec: Scaling, now: float) -> int:
    """The number of replicas to have now: between min and max; 0 only if min is 0 and `idle` is over.

    As Kubernetes' HorizontalPodAutoscaler reckons from an average value (demand over what one replica takes,
    rounded up, and on the way down the most of a stabilization window, here `lull`), with KEDA's scale to
    zero after a `cooldownPeriod`, here `idle`.
    """
    rested = load.active_at is None or now - load.active_at >= spec.idle
    if load.demand == 0 and rested:
        need = 0
    else:
        # Awake is at least one: the tab that somebody just opened draws nothing yet.
        need = max(1, math.ceil(max(load.demand, load.recent) / spec.concurrency))
    return min(max(need, spec.min), spec.max)


def allowed(count: int, alive: int, *, held: bool) -> int:
    """`count`, but nothing new while the endpoint is `held` back by its models: what runs is never stopped
    for them. `alive` is how many replicas there are that do not drain."""
    return min(count, alive) if held else count


class Peak:
    """The highest demand of the last `seconds`: a sliding-window maximum, by a monotonic queue."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        # Falling demands with the time each was last seen: the first is the peak.
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, demand: int, now: float) -> int:
        """Note `demand` at `now`; the peak so far."""
        while self._seen and self._seen[-1][1] <= demand:
            self._seen.pop()
        self._seen.append((now, demand))
        while now - self._seen[0][0] > self.seconds:
            self._seen.popleft()
        return self._seen[0][1]
