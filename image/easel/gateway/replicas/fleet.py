"""One endpoint's replicas: how many, which one serves whom, and who waits at the door."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass

import structlog

from easel.gateway.config import Endpoint
from easel.gateway.model_sync import ModelStatus, ModelSync
from easel.gateway.replicas.autoscaler import Load, Peak, Scaling, allowed, wanted
from easel.gateway.replicas.backend import Backend, Replica, ReplicaState
from easel.gateway.replicas.open_requests import OpenRequests

_log = structlog.get_logger("easel.fleet")
# The endpoint's state is that of its best replica.
_BEST: tuple[ReplicaState, ...] = ("ready", "loading", "starting", "failed", "draining", "asleep")
_REMEMBERED_USERS = 10_000
# Seconds after which a given-up endpoint that somebody asks for is tried again: the cause may be gone.
_RETRY_AFTER = 300.0


@dataclass(frozen=True)
class NotNow:
    """No replica can take a request. `final`: waiting would not help. `again`: seconds after which asking
    once more may."""

    state: ReplicaState
    detail: str
    final: bool = False
    again: int = 10


class Fleet:
    """Keeps as many replicas as `wanted` says and finds one for each request."""

    def __init__(
        self, endpoint: Endpoint, backend: Backend, *, tick: float = 1.0, lull: float = 60.0,
        open_requests: OpenRequests | None = None, models: ModelSync | None = None,
    ) -> None:  # fmt: skip
        self.endpoint = endpoint
        self.replicas: list[Replica] = []
        self.waiting = 0
        self._backend = backend
        self._open_requests = open_requests
        self._models = models
        self._tick = tick
        self._lull = lull
        self._active_at: float | None = None
        self._asked_at = 0.0
        # Since it fell asleep: one event is enough for all who come at once.
        self._called = False
        self._asleep_by_hand = False
        # Wanted, and not started before its models are there; unless somebody has said that it be.
        self._held = False
        self._at_once = False
        self._peak = Peak(lull)
        self._sticky: OrderedDict[str, str] = OrderedDict()
        # When Caddy found nobody at an address, on the monotonic clock.
        self._lost: dict[str, float] = {}
        self._closing = False
        # Requests let through since the replica's last report, which does not count them yet.
        self._sent: dict[str, int] = {}
        self._looked = asyncio.Condition()
        self._hurry = asyncio.Event()

    @property
    def scaling(self) -> Scaling:
        """The limits of `wanted`, from the endpoint's settings."""
        spec = self.endpoint
        return Scaling(spec.replicas.min, spec.replicas.max, spec.idle, spec.concurrency, self._lull)

    @property
    def state(self) -> ReplicaState:
        """The endpoint's state: that of its best replica; without any `asleep`, or `starting` while it waits
        for its models."""
        states = {replica.state for replica in self.replicas}
        return next((state for state in _BEST if state in states), "starting" if self._held else "asleep")

    @property
    def detail(self) -> str:
        """In words what the endpoint does or why it does nothing."""
        best = next((replica for replica in self.replicas if replica.state == self.state), None)
        if best is not None:
            return best.detail
        if self._held and (models := self.models) is not None:
            what = "no GPU" if self.endpoint.shape.startswith("gpu.") else "nothing"
            return f"{models.detail}; {what} runs yet"
        if self.endpoint.replicas.max == 0:
            return "switched off: replicas.max is 0"
        return "put to sleep by hand" if self._asleep_by_hand else "nobody drew for a while"

    @property
    def models(self) -> ModelStatus | None:
        """How its models are; None if it lists none."""
        return self._models.of(self.endpoint.name) if self._models else None

    # ── who gets which replica ───────────────────────────────────────────────────────────────────

    def pick(self, user: str, *, strict: bool) -> Replica | NotNow:
        """The replica for `user`: the one they had before, else the least loaded.

        Session affinity before least outstanding requests, as load balancers call them. `strict` keeps a
        browser on its replica, where its page lives; an API caller whose replica is full goes to an emptier
        one.
        """
        if self._closing:
            return NotNow("draining", "the gateway is being stopped or started again", final=True)
        ready = {one.id: one for one in self.replicas if one.state == "ready" and not self._missed(one)}
        if not ready:
            if self.state == "ready":
                return NotNow("starting", "its replica went away; waiting for it, or for another one")
            final = self.state == "failed" or self.endpoint.replicas.max == 0
            return NotNow(self.state, self.detail, final, 60 if final else 10)
        least = min(ready.values(), key=self._demand)
        before = ready.get(self._sticky.get(user, ""))
        if before and (
            strict or self._demand(before) < max(self.endpoint.concurrency, self._demand(least) + 1)
        ):
            least = before
        self._sticky[user] = least.id
        self._sticky.move_to_end(user)
        if len(self._sticky) > _REMEMBERED_USERS:
            self._sticky.popitem(last=False)
        return least

    def lost(self, address: str) -> None:
        """Nobody answered at `address`: it gets no more requests until it answers a poll."""
        gone = next((replica for replica in self.replicas if replica.address == address), None)
        if gone is not None and not self._missed(gone):
            self._backend.events.add(
                self.endpoint.name, gone.id, "lost", "it went away with requests; they go to another one"
            )
        self._lost[address] = time.monotonic()
        self._hurry.set()

    def _missed(self, replica: Replica) -> bool:
        return replica.answered <= self._lost.get(replica.address or "", -math.inf)

    def passed(self, replica: Replica, *, draws: bool, lasting: bool) -> str | None:
        """A request goes to `replica` now; the number to know its end by, if ends are counted.

        `lasting`: it is open as long as a tab is, and no work.
        """
        container = self.endpoint.container
        if self._open_requests is not None and container and container.load != "easel" and replica.address:
            return self._open_requests.begin(replica.address, lasting=lasting)
        if draws:
            self._sent[replica.id] = self._sent.get(replica.id, 0) + 1
        return None

    def _demand(self, replica: Replica) -> int:
        return (replica.work.demand if replica.work else 0) + self._sent.get(replica.id, 0)

    def ask(self, why: str) -> bool:
        """Somebody wants the endpoint: it is awake for `idle` seconds at least. Whether that wakes it."""
        wakes = False
        if self.state == "asleep" and self.endpoint.replicas.max and not self._called:
            self._called = wakes = True
            self._backend.events.add(self.endpoint.name, None, "waking", f"waking: {why}")
        self._active_at = self._asked_at = time.monotonic()
        self._asleep_by_hand = False
        if self.state != "ready":
            self._hurry.set()
        return wakes

    async def hold(self, user: str, *, strict: bool, gone: Awaitable[None], why: str) -> Replica | NotNow:
        """Wait for a replica: up to `timeouts.wake`, while there is hope and the caller is not `gone`."""
        self.waiting += 1
        self.ask(why)
        left = asyncio.ensure_future(gone)
        deadline = time.monotonic() + self.endpoint.timeouts.wake
        try:
            while True:
                found = self.pick(user, strict=strict)
                rest = deadline - time.monotonic()
                hopeless = isinstance(found, NotNow) and found.final
                hopeless = hopeless and (self._closing or not self._will_retry())
                if isinstance(found, Replica) or hopeless or rest <= 0 or left.done():
                    return found
                look = asyncio.ensure_future(self._next_look())
                await asyncio.wait({look, left}, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
                look.cancel()
        finally:
            self.waiting -= 1
            left.cancel()

    async def _next_look(self) -> None:
        async with self._looked:
            await self._looked.wait()

    def _will_retry(self) -> bool:
        return any(replica.state == "failed" and not replica.given_up and replica.address is None
                   for replica in self.replicas) or self._retry_due()  # fmt: skip

    def _retry_due(self) -> bool:
        given_up = [replica for replica in self.replicas if replica.given_up]
        return bool(given_up) and all(time.time() - replica.since > _RETRY_AFTER for replica in given_up)

    # ── how many ─────────────────────────────────────────────────────────────────────────────────

    def hurry(self) -> None:
        """Look now: something happened to a replica."""
        self._hurry.set()

    async def wake(self, *, at_once: bool = False) -> None:
        """By hand: be awake, and try again what failed. `at_once`: without waiting for models."""
        self.ask("by hand")
        if at_once and self._held:
            self._backend.events.add(
                self.endpoint.name, None, "models", "started by hand before the models are there"
            )
        self._at_once = self._at_once or at_once
        if self._models:
            self._models.hurry(self.endpoint.name)
        await self._backend.revive(self.endpoint.name)
        self._hurry.set()

    @property
    def remembered(self) -> bool | None:
        """What a later gateway should know: that it is awake (True) or was put to sleep by hand (False)."""
        if self._asleep_by_hand:
            return False
        return True if self.state in ("starting", "loading", "ready") else None

    def remember(self, awake: bool) -> None:
        """Go on as the gateway before did."""
        if awake:
            self.ask("the gateway was started again")
        self._asleep_by_hand = not awake

    def linger(self) -> None:
        """Somebody still looks at the waking page: a fetch may outlast `idle`, and their wish lasts as
        long as they do."""
        if self._held:
            self._active_at = self._asked_at = time.monotonic()

    async def sleep(self) -> None:
        """By hand: finish the pictures, then sleep until somebody asks, `replicas.min` or not."""
        self._asleep_by_hand, self._at_once = True, False
        self._active_at = None
        self._peak = Peak(self._lull)
        self._hurry.set()

    async def close(self) -> None:
        """The gateway ends: who waits is told so, and nobody gets a replica any more."""
        self._closing = True
        async with self._looked:
            self._looked.notify_all()

    async def follow(self, endpoint: Endpoint) -> None:
        """Take changed settings."""
        self.endpoint = endpoint
        await self._backend.follow(endpoint)
        self._hurry.set()

    async def run(self) -> None:
        """Look and act, forever."""
        while True:
            try:
                await self.look()
            except Exception:  # a backend's API may fail in any way; the next look may not
                _log.exception("cannot look after the replicas", endpoint=self.endpoint.name)
            busy = self.waiting or self.state in ("starting", "loading", "draining")
            try:
                await asyncio.wait_for(self._hurry.wait(), self._tick / 2 if busy else self._tick)
            except TimeoutError:
                continue
            finally:
                self._hurry.clear()

    async def look(self) -> None:
        """One round: see the replicas, start or drain some, tell who waits."""
        name = self.endpoint.name
        alive_before = bool(self.replicas)
        self.replicas = await self._backend.replicas(name)
        self._sent.clear()
        self._lost = {one.address: self._lost[one.address] for one in self.replicas
                      if one.address in self._lost and self._missed(one)}  # fmt: skip
        now = time.monotonic()
        load = self.load(now)
        count = 0 if self._asleep_by_hand and not self.waiting else wanted(load, self.scaling, now)
        alive = [replica for replica in self.replicas if replica.state != "draining"]
        count = self._let(count, len(alive))
        if count > len(alive):
            await self._backend.set_capacity(name, count)
        for replica in sorted(alive, key=self._worth)[: max(0, len(alive) - count)]:
            await self._backend.drain(name, replica.id)
        asked = self._active_at is not None and now - self._active_at < 2 * self._tick
        if asked and self._retry_due():
            await self._backend.revive(name)
        if count != len(alive):
            self.replicas = await self._backend.replicas(name)
        if alive_before and not self.replicas:
            self._backend.events.add(name, None, "asleep", f"asleep: {self.detail}")
        async with self._looked:
            self._looked.notify_all()

    def _let(self, count: int, alive: int) -> int:
        """How many of `count` replicas there may be now."""
        models = self.models
        let = allowed(count, alive, held=models is not None and models.holds and not self._at_once)
        before, self._held = self._held, let < count
        if self._held and not before:
            self._backend.events.add(
                self.endpoint.name, None, "models", "nothing is started before the models are there"
            )
        # Nobody is waited for any more: whoever comes next is news.
        self._called = self._called and not self.replicas and count > 0
        return let

    def load(self, now: float) -> Load:
        """What the endpoint has to do, on the monotonic clock of `now`."""
        work = [replica.work for replica in self.replicas if replica.work and replica.state == "ready"]
        running, queued = sum(one.running for one in work), sum(one.queued for one in work)
        starts = any(replica.state in ("starting", "loading") for replica in self.replicas)
        # What somebody asked for may take longer to start than `idle`; it must not be put to sleep before.
        asked = self._active_at is not None and now - self._asked_at < self.endpoint.timeouts.wake
        if running or queued or self.waiting or (starts and asked):
            self._active_at = now
        elif work:
            # The replica knows of pictures drawn between two looks.
            last = now - min(one.idle_seconds for one in work)
            if self._active_at is not None:
                self._active_at = max(self._active_at, last)
        recent = self._peak.add(running + queued + self.waiting, now)
        return Load(running, queued, self.waiting, recent, self._active_at)

    def _worth(self, replica: Replica) -> tuple[bool, int, int]:
        """Who goes first when there are too many: who is not ready, does least, serves fewest."""
        users = sum(1 for served in self._sticky.values() if served == replica.id)
        return replica.state == "ready", self._demand(replica), users
