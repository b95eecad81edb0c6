"""One endpoint's replicas: how many, which one serves whom, and who waits at the door."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace

import structlog

from easel.gateway.config import Endpoint
from easel.gateway.model_sync import ModelStatus, ModelSync
from easel.gateway.replicas.autoscaler import Load, Scaling, allowed
from easel.gateway.replicas.backend import Backend, Replica, ReplicaState, Work
from easel.gateway.replicas.endpoint_load import EndpointLoad
from easel.gateway.replicas.open_requests import OpenRequests
from easel.gateway.replicas.peers import PeerEndpoint, Peers
from easel.gateway.replicas.routing import Routing
from easel.gateway.replicas.scale_signal import ScaleSignal
from easel.gateway.replicas.sizing import ClusterSizing, OwnSizing, Sizing
from easel.remark import remark

_log = structlog.get_logger("easel.fleet")
GATEWAY_ENDS = remark("gateway_ends", "the gateway is being stopped or started again")
# The endpoint's state is that of its best replica.
_BEST: tuple[ReplicaState, ...] = ("ready", "loading", "starting", "failed", "draining", "asleep")
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
    """Finds a replica for each request, and sees that there are as many as there should be."""

    def __init__(
        self, endpoint: Endpoint, backend: Backend, *, tick: float = 1.0, lull: float = 60.0,
        open_requests: OpenRequests | None = None, models: ModelSync | None = None,
        peers: Peers | None = None,
    ) -> None:  # fmt: skip
        self.endpoint = endpoint
        self.replicas: list[Replica] = []
        self.waiting = 0
        self._backend = backend
        self._open_requests = open_requests
        self._models = models
        self._tick = tick
        self._lull = lull
        self._peers = peers or Peers()
        self._routing = Routing(endpoint.name, self._peers)
        self._load = EndpointLoad(lull)
        self._sizing: Sizing = OwnSizing(endpoint.name, backend)
        if backend.autoscaler is not None:
            self._sizing = ClusterSizing(endpoint.name, backend.autoscaler)
        # Since it fell asleep: one event is enough for all who come at once.
        self._called = False
        # Wanted, and not started before its models are there; unless somebody has said that it be.
        self._held = False
        self._at_once = False
        # What was given up when somebody had it tried again, by name and since when: old news until it is
        # seen otherwise. A pod's end came by the watch after who asked next had been refused.
        self._old_news: set[tuple[str, float]] = set()
        self._closing = False
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
            if self.endpoint.shape.startswith("gpu."):
                return remark("models_before_gpu", "{models}; no GPU runs yet", models=models.detail)
            return remark("models_before_all", "{models}; nothing runs yet", models=models.detail)
        if self.endpoint.replicas.max == 0:
            return remark("switched_off", "switched off: replicas.max is 0")
        return self._sizing.resting or remark("nobody_drew", "nobody drew for a while")

    @property
    def models(self) -> ModelStatus | None:
        """How its models are; None if it lists none."""
        return self._models.of(self.endpoint.name) if self._models else None

    # ── who gets which replica ───────────────────────────────────────────────────────────────────

    def pick(self, user: str, *, strict: bool) -> Replica | NotNow:
        """The replica for `user`, as `Routing.take` chooses it among those that are ready."""
        if self._closing:
            return NotNow("draining", GATEWAY_ENDS, final=True)
        ready = [one for one in self.replicas if one.state == "ready" and not self._routing.missed(one)]
        if not ready:
            if self.state == "ready":
                words = "its replica went away; waiting for it, or for another one"
                return NotNow("starting", remark("replica_went", words))
            final = self.state == "failed" or self.endpoint.replicas.max == 0
            return NotNow(self.state, self.detail, final, 60 if final else 10)
        return self._routing.take(user, ready, strict=strict, concurrency=self.endpoint.concurrency)

    def lost(self, address: str) -> None:
        """Nobody answered at `address`: it gets no more requests until it answers a poll."""
        gone = next((replica for replica in self.replicas if replica.address == address), None)
        if gone is not None and not self._routing.missed(gone):
            words = "it went away with requests; they go to another one"
            self._backend.events.add(self.endpoint.name, gone.id, "lost", remark("replica_lost", words))
        self._routing.lost(address)
        self._hurry.set()

    def passed(self, replica: Replica, *, draws: bool, lasting: bool) -> str | None:
        """A request goes to `replica` now; the number to know its end by, if ends are counted.

        `lasting`: it is open as long as a tab is, and no work.
        """
        container = self.endpoint.container
        if self._open_requests is not None and container and container.load != "easel" and replica.address:
            return self._open_requests.begin(replica.address, lasting=lasting)
        if draws:
            self._routing.sent(replica)
        return None

    def ask(self, why: str) -> bool:
        """Somebody wants the endpoint: it is awake for `idle` seconds at least. Whether that wakes it."""
        wakes = False
        if self.state == "asleep" and self.endpoint.replicas.max and not self._called:
            self._called = wakes = True
            text = remark("waking_why", "waking: {why}", why=why)
            self._backend.events.add(self.endpoint.name, None, "waking", text)
        self._load.ask()
        self._sizing.wake()
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
                   for replica in self.replicas) or self._retry_due() or self._tried_again()  # fmt: skip

    def _retry_due(self) -> bool:
        given_up = self._given_up()
        return bool(given_up) and all(time.time() - replica.since > _RETRY_AFTER for replica in given_up)

    def _tried_again(self) -> bool:
        """Whether all that is known to be given up was so before somebody had it tried again."""
        given_up = {(one.id, one.since) for one in self._given_up()}
        return bool(given_up) and given_up <= self._old_news

    def _given_up(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.given_up]

    # ── how many ─────────────────────────────────────────────────────────────────────────────────

    def hurry(self) -> None:
        """Look now: something happened to a replica."""
        self._hurry.set()

    async def wake(self, *, at_once: bool = False) -> None:
        """By hand: be awake, and try again what failed. `at_once`: without waiting for models."""
        self.ask(remark("why_by_hand", "by hand"))
        if at_once and self._held:
            text = remark("started_before_models", "started by hand before the models are there")
            self._backend.events.add(self.endpoint.name, None, "models", text)
        self._at_once = self._at_once or at_once
        if self._models:
            self._models.hurry(self.endpoint.name)
        self._old_news = {(one.id, one.since) for one in self._given_up()}
        await self._backend.revive(self.endpoint.name)
        self._hurry.set()

    @property
    def remembered(self) -> bool | None:
        """What a later gateway should know: that it is awake (True) or was put to sleep by hand (False)."""
        if self._sizing.asleep:
            return False
        return True if self.state in ("starting", "loading", "ready") else None

    def remember(self, awake: bool) -> None:
        """Go on as the gateway before did."""
        if awake:
            self.ask(remark("why_gateway_again", "the gateway was started again"))
        self._sizing.remember(awake=awake)

    def linger(self) -> None:
        """Somebody still looks at the waking page: a fetch may outlast `idle`, and their wish lasts as
        long as they do."""
        if self._held:
            self._load.ask()

    async def sleep(self) -> None:
        """By hand: finish the pictures, then sleep until somebody asks, `replicas.min` or not."""
        self._at_once = False
        self._load.rest()
        await self._sizing.sleep()
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
                # Not `wait_for`, which makes a task each time: a thousand fleets look each second.
                async with asyncio.timeout(self._tick / 2 if busy else self._tick):
                    await self._hurry.wait()
            except TimeoutError:
                continue
            finally:
                self._hurry.clear()

    async def look(self) -> None:
        """One round: see the replicas, start or drain some, tell who waits."""
        name = self.endpoint.name
        alive_before = bool(self.replicas)
        self.replicas = await self._backend.replicas(name)
        self._routing.looked(self.replicas)
        now = time.monotonic()
        alive = sorted((one for one in self.replicas if one.state != "draining"), key=self._worth)
        count = self._let(self._sizing.count(self.load(now), self.scaling, now), len(alive))
        changed = await self._sizing.fit(count, alive)
        if self._load.within(2 * self._tick, now) and self._retry_due():
            await self._backend.revive(name)
        if changed:
            self.replicas = await self._backend.replicas(name)
        if alive_before and not self.replicas:
            text = remark("asleep_why", "asleep: {why}", why=self.detail)
            self._backend.events.add(name, None, "asleep", text)
        async with self._looked:
            self._looked.notify_all()

    def _let(self, count: int, alive: int) -> int:
        """How many of `count` replicas there may be now."""
        models = self.models
        let = allowed(count, alive, held=models is not None and models.holds and not self._at_once)
        before, self._held = self._held, let < count
        if self._held and not before:
            text = remark("nothing_before_models", "nothing is started before the models are there")
            self._backend.events.add(self.endpoint.name, None, "models", text)
        # Nobody is waited for any more: whoever comes next is news.
        self._called = self._called and not self.replicas and count > 0
        return let

    @property
    def _work(self) -> list[Work]:
        return [one.work for one in self.replicas if one.work is not None]

    @property
    def _demand(self) -> int:
        return sum(one.demand for one in self._work)

    def load(self, now: float) -> Load:
        """What the endpoint has to do, on the monotonic clock of `now`."""
        name, patience = self.endpoint.name, self.endpoint.timeouts.wake
        held = self.waiting + self._peers.held(name, self._demand)
        load = self._load.load(self.replicas, held, patience, now)
        return replace(load, asked=load.asked or self._peers.asked(name))

    def signal(self) -> ScaleSignal:
        """What the cluster's autoscaler is told."""
        name, autoscaler = self.endpoint.name, self._backend.autoscaler
        load = self.load(time.monotonic())
        return ScaleSignal(
            running=sum(one.running for one in self._work),
            queued=sum(one.queued for one in self._work),
            held=load.waiting,
            asked=load.asked,
            floor=autoscaler.floor(name) if autoscaler else 0,
            concurrency=self.endpoint.concurrency,
            models_missing=self._held,
        )

    def told(self, since: float) -> PeerEndpoint:
        """What the team's other gateways are told: who was sent where after `since` (Unix seconds)."""
        asked = self._load.asked(self.endpoint.timeouts.wake, time.monotonic())
        own = self._models.own(self.endpoint.name) if self._models else None
        return PeerEndpoint(self.waiting, asked, self._routing.assigned_since(since), own)

    def _worth(self, replica: Replica) -> tuple[bool, int, int]:
        """Who goes first when there are too many: who is not ready, does least, serves fewest."""
        return replica.state == "ready", self._routing.demand(replica), self._routing.users(replica)
