"""Who decides how many replicas an endpoint has: the fleet itself, or the autoscaler of the cluster.

The fleet decides as Kubernetes' autoscalers do (`autoscaler.wanted`). In a cluster there is one, KEDA: it is
given a signal, and nobody else counts (docs/decisions/0056-in-a-cluster-keda-decides-how-many.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from easel.gateway.replicas.autoscaler import Load, Scaling, wanted
from easel.gateway.replicas.backend import Autoscaler, Backend, Replica
from easel.remark import remark

BY_HAND = remark("asleep_by_hand", "put to sleep by hand")
"""Why an endpoint sleeps that somebody put to sleep."""
Worth = Callable[[Replica], object]


class Sizing(Protocol):
    """How many replicas one endpoint has."""

    @property
    def asleep(self) -> bool:
        """Whether it was put to sleep by hand."""
        ...

    @property
    def resting(self) -> str:
        """Why it rests, where that is not for want of work; "" where it is."""
        ...

    def remember(self, *, awake: bool) -> None:
        """Go on as the gateway before did."""
        ...

    async def sleep(self) -> None:
        """By hand: have none until somebody asks."""
        ...

    def wake(self) -> None:
        """Somebody asks."""
        ...

    def count(self, load: Load, scaling: Scaling, now: float) -> int:
        """How many there should be now."""
        ...

    async def fit(self, count: int, alive: Sequence[Replica]) -> bool:
        """Have `count` replicas, where `alive` (the least worth first) do not drain; whether anything was
        done."""
        ...


class OwnSizing:
    """The fleet counts, and starts and drains through its backend."""

    def __init__(self, endpoint: str, backend: Backend) -> None:
        self.asleep = False
        self._endpoint = endpoint
        self._backend = backend

    @property
    def resting(self) -> str:
        """By hand, or not."""
        return BY_HAND if self.asleep else ""

    def remember(self, *, awake: bool) -> None:
        """Go on as the gateway before did."""
        self.asleep = not awake

    async def sleep(self) -> None:
        """By hand: `replicas.min` or not."""
        self.asleep = True

    def wake(self) -> None:
        """Somebody asks."""
        self.asleep = False

    def count(self, load: Load, scaling: Scaling, now: float) -> int:
        """`wanted`, and none while it sleeps by hand."""
        return 0 if self.asleep and not load.waiting else wanted(load, scaling, now)

    async def fit(self, count: int, alive: Sequence[Replica]) -> bool:
        """Start what is missing, drain what is too much."""
        if count > len(alive):
            await self._backend.set_capacity(self._endpoint, count)
        for replica in alive[: max(0, len(alive) - count)]:
            await self._backend.drain(self._endpoint, replica.id)
        return count != len(alive)


class ClusterSizing:
    """The cluster's autoscaler counts, by what `Fleet.signal` tells it."""

    def __init__(self, endpoint: str, autoscaler: Autoscaler) -> None:
        self._endpoint = endpoint
        self._autoscaler = autoscaler
        self._waking = False

    @property
    def asleep(self) -> bool:
        """Whether the autoscaler was told to have none; every gateway sees it."""
        return self._autoscaler.paused(self._endpoint)

    @property
    def resting(self) -> str:
        """By hand, or by the fuse."""
        return self._autoscaler.resting(self._endpoint)

    def remember(self, *, awake: bool) -> None:
        """The cluster remembers: a gateway that comes back asks for nothing by itself."""
        self._waking = False

    async def sleep(self) -> None:
        """By hand."""
        self._waking = False
        await self._autoscaler.pause(self._endpoint)

    def wake(self) -> None:
        """Somebody asks: the next look takes the pause off."""
        self._waking = True

    def count(self, load: Load, scaling: Scaling, now: float) -> int:
        """Whether any is needed: how many, others say, and for how long after."""
        need = load.demand > 0 or load.asked or (scaling.min > 0 and not self.asleep)
        return min(int(need), scaling.max)

    async def fit(self, count: int, alive: Sequence[Replica]) -> bool:
        """Say whether one is waited for; let it count again what sleeps by hand, where somebody asked."""
        self._autoscaler.expect(self._endpoint, count > 0)
        if not (self._waking and self.asleep):
            return False
        self._waking = False
        await self._autoscaler.resume(self._endpoint)
        return True
