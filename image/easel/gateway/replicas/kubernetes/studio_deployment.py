"""One endpoint's Deployment: its pods as replicas, what stands for pods that are missing, and what is told to
its autoscaler."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

import structlog

from easel.gateway.config import Container, Endpoint
from easel.gateway.events import Events
from easel.gateway.kubernetes import KubernetesError, Object
from easel.gateway.replicas import BY_HAND, ContainerProbe, Replica, ReplicaStatus, ReplicaTimeouts
from easel.gateway.replicas.kubernetes.fuse import Fuse
from easel.gateway.replicas.kubernetes.namespace import KEDA, Namespace
from easel.gateway.replicas.kubernetes.pod_state import CONTAINER, DRAINING, draining, ended
from easel.gateway.replicas.kubernetes.scheduling import (
    FUSE,
    PAUSED,
    absent,
    desired,
    fused,
    paused,
    refused,
)
from easel.gateway.replicas.kubernetes.tracked_pod import TrackedPod
from easel.remark import remark, said_by

_log = structlog.get_logger("easel.kubernetes")
_POD_GONE = remark("pod_gone", "its pod is gone: somebody else ended it")
COST = "controller.kubernetes.io/pod-deletion-cost"
# Who has nothing to do goes before who draws; who drains before both.
_IDLE, _AT_WORK, _DRAINING = "0", "100", "-1000"
_MISSING = "missing"
# Lines that a container's last words are looked for in.
_LAST_LINES = 20
_BY_ANOTHER = remark(
    "budget_spent_by_another", "this month's budget is spent: another gateway has counted so"
)
# Seconds after which the autoscaler is told again what its watch does not show.
_TOLD = 10.0
# Seconds for which a fuse of another budget than ours has to stand before it is taken out: who set it may
# have read a change of the team's file before us. Taken out at once, a machine woke past the budget.
_DOUBT = 10.0


class StudioDeployment:
    """Looks after one endpoint's pods. `fuse` says why none may run; without one they may."""

    def __init__(
        self, endpoint: Endpoint, *, namespace: Namespace, probe: ContainerProbe, events: Events,
        timeouts: ReplicaTimeouts, fuse: Fuse | None = None,
    ) -> None:  # fmt: skip
        self.endpoint = endpoint
        self.removed = False
        self._namespace = namespace
        self._api = namespace.api
        self._probe = probe
        self._events = events
        self._timeouts = timeouts
        self._fuse = fuse
        self._tracked: dict[str, TrackedPod] = {}
        self._floor = 0
        # Since when somebody waits for a first replica, on the monotonic clock.
        self._expected: float | None = None
        self._missing: dict[str, ReplicaStatus] = {}
        # What was written to each pod as its deletion cost: the watch shows it later.
        self._costs: dict[str, str] = {}
        # When the autoscaler was last told of the fuse: the watch shows it later.
        self._fused_at = float("-inf")
        self._doubted_since: float | None = None
        # One write to a pod after another: of two under way at once the later may come first.
        self._writing: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """The Deployment's, and its ScaledObject's."""
        return self.endpoint.deployment.name if self.endpoint.deployment else f"studio-{self.endpoint.name}"

    # ── seeing ───────────────────────────────────────────────────────────────────────────────────

    async def look(self) -> list[Replica]:
        """Every replica, its container asked just now."""
        self._obey()
        pods = {one["metadata"]["name"]: one for one in self._namespace.pods(self.endpoint.name)}
        for name in self._tracked.keys() - pods.keys():
            self._gone(name, _POD_GONE)
        for name, pod in pods.items():
            if why := ended(pod):
                self._gone(name, why)
            elif name not in self._tracked:
                self._tracked[name] = TrackedPod(
                    self.endpoint.name, pod, self._events, self._timeouts, self._last_lines
                )
        await asyncio.gather(*(self._follow(pods[name]) for name in pods if name in self._tracked))
        self._price()
        alive = [one for one in self._tracked.values() if one.state != "draining"]
        replicas = [self._tracked[name].replica() for name in pods if name in self._tracked]
        return replicas + self._absent(len(alive))

    async def _follow(self, pod: Object) -> None:
        tracked = self._tracked[pod["metadata"]["name"]]
        address = self._address(pod)
        report = await self._probe.ask(self.endpoint, address) if address else None
        spec = pod.get("spec") or {}
        await tracked.follow(
            pod, report, address, events=self._namespace.events(tracked.name),
            node=self._namespace.node(str(spec.get("nodeName") or "")),
        )  # fmt: skip

    def _address(self, pod: Object) -> str | None:
        status = pod.get("status") or {}
        found = (one for one in status.get("containerStatuses") or [] if one["name"] == CONTAINER)
        container: Object = next(found, {})
        running = "running" in (container.get("state") or {})
        address = str(status.get("podIP") or "")
        if not (running and address):
            return None
        port = (self.endpoint.container or Container(port=7860)).port
        return f"{f'[{address}]' if ':' in address else address}:{port}"

    def _gone(self, name: str, why: str) -> None:
        tracked = self._tracked.pop(name, None)
        if tracked is None:
            return
        self._costs.pop(name, None)
        self._writing.pop(name, None)
        if tracked.address:
            self._probe.forget(tracked.address)
        tracked.gone(why)

    def _absent(self, alive: int) -> list[Replica]:
        """What stands for pods that are missing, so that whoever waits learns why."""
        deployment = self._namespace.deployment(self.name)
        no = refused(deployment)
        missing = max(self._floor, int(self._expected is not None and not self._tracked)) - alive
        if no is not None:
            wanted = desired(deployment)
            missing = max(missing, min(1, wanted - alive))
        names = [f"{_MISSING}-{number}" for number in range(1, max(0, missing) + 1)]
        for name in self._missing.keys() - set(names):
            del self._missing[name]
        if not names:
            return []
        since = self._expected or time.monotonic()
        scaled = self._namespace.scaled(self.name)
        failed, words = absent(self.name, deployment, scaled, time.monotonic() - since)
        kind = ""
        if no is not None:
            failed, (words, kind) = True, no
        elif self._namespace.trouble:
            failed, words = True, self._namespace.trouble
        # Whatever else is wrong: nobody is to wait for what does not come this month.
        given_up = bool(spent := self._spent())
        if given_up:
            failed, words, kind = True, spent, "budget"
        for name in names:
            status = self._missing.setdefault(
                name, ReplicaStatus(self.endpoint.name, name, self._events, words)
            )
            status.say("failed" if failed else "starting", words, kind or None)
        return [
            Replica(name, one.state, one.since, one.detail, given_up=given_up)
            for name, one in self._missing.items()
        ]

    # ── doing ────────────────────────────────────────────────────────────────────────────────────

    def expect(self, needed: bool) -> None:
        """Whether somebody waits for a first replica."""
        if not needed:
            self._expected = None
        elif self._expected is None:
            self._expected = time.monotonic()

    def floor(self) -> int:
        """Replicas that there must be: what was asked for, and those that finish their pictures."""
        now = time.monotonic()
        finishing = sum(
            1 for one in self._tracked.values()
            if one.drains_since is not None and one.busy
            and now - one.drains_since < self.endpoint.timeouts.request
        )  # fmt: skip
        return self._floor + finishing

    async def set_capacity(self, count: int) -> None:
        """Take back what drains, then have the signal ask for the rest."""
        lacking = count - sum(1 for one in self._tracked.values() if one.state != "draining")
        for one in self._tracked.values():
            if lacking > 0 and one.drains_since is not None and not _deleted(one.pod):
                lacking -= 1
                one.keep()
                await self._mark(one, cost=_AT_WORK if one.busy else _IDLE, draining=None)
        self._floor = max(self._floor, count)
        self.expect(True)

    async def drain(self, replica: str) -> None:
        """Let it finish: it is the first to go when there are too many."""
        tracked = self._tracked.get(replica)
        if tracked is None:
            self._less(replica)
        elif tracked.drains_since is None and not _deleted(tracked.pod):
            self._less(replica)
            tracked.drain()
            await self._mark(tracked, cost=_DRAINING, draining="true")

    async def stop(self, replica: str) -> None:
        """End its pod now."""
        known = replica in self._tracked
        self._less(replica)
        if known:
            await self._delete(replica, int(self._timeouts.termination_grace))

    async def revive(self) -> None:
        """New pods for those that wait to be tried again: Kubernetes forgets its patience with them."""
        # Past the budget it is no: said anew, so that who asks next hears it at once.
        self._missing.clear()
        for one in list(self._tracked.values()):
            if one.stuck:
                await self._delete(one.name, 0)

    async def remove(self) -> None:
        """The endpoint is no more."""
        self.removed, self._floor = True, 0
        self.expect(False)
        await self.pause()

    async def follow(self, endpoint: Endpoint) -> None:
        """The endpoint has these settings, and is there if it was not."""
        self.endpoint = endpoint
        if self.removed:
            self.removed = False
            await self.resume()

    @property
    def paused(self) -> bool:
        """Whether the autoscaler was told to have none."""
        return paused(self._namespace.scaled(self.name))

    async def pause(self) -> None:
        """Tell it so."""
        await self._annotate(self._scaled_path, {PAUSED: "0"})

    def _spent(self) -> str:
        """Why none may run: another gateway may have counted more of the same month."""
        if self._fuse is None:
            return ""
        told = fused(self._namespace.scaled(self.name))
        return self._fuse.reason or (_BY_ANOTHER if told and told == self._fuse.mark else "")

    async def resume(self) -> None:
        """Have it count again; not past the budget, by hand or not. A fuse is taken out by `_obey` alone."""
        if not self._spent() and not fused(self._namespace.scaled(self.name)):
            await self._annotate(self._scaled_path, {PAUSED: None})

    @property
    def resting(self) -> str:
        """Why it rests, where that is not for want of work; "" if it does not."""
        return self._spent() or (BY_HAND if self.paused else "")

    def _obey(self) -> None:
        """Tell the autoscaler of the fuse. Pods that draw finish: their grace lasts as long as a request."""
        scaled, now, blown = self._namespace.scaled(self.name), time.monotonic(), bool(self._spent())
        if blown or not fused(scaled):
            self._doubted_since = None
        elif self._doubted_since is None:
            self._doubted_since = now
        if scaled is None or self.removed or now - self._fused_at < _TOLD:
            return
        # Who was put to sleep by hand stays so when the budget has room again.
        if self._fuse is not None and blown and not paused(scaled):
            change: dict[str, str | None] = {PAUSED: "0", FUSE: self._fuse.mark}
        elif self._doubted_since is not None and now - self._doubted_since >= _DOUBT:
            change = {PAUSED: None, FUSE: None}
        else:
            return
        self._fused_at = now
        self._begin(self._annotate(self._scaled_path, change))

    async def logs(self, replica: str, tail: int) -> str:
        """The last lines of its container. Raises KubernetesError."""
        if replica not in self._tracked or tail < 1:
            return ""
        path = f"{self._api.path('pods', replica)}/log"
        return await self._api.text(path, container=CONTAINER, tailLines=str(tail))

    def close(self) -> None:
        """Begin nothing more."""
        for task in self._tasks:
            task.cancel()

    @property
    def _scaled_path(self) -> str:
        return self._api.path("scaledobjects", self.name, group=KEDA)

    def _less(self, replica: str) -> None:
        """One less is needed, if this one counted."""
        tracked = self._tracked.get(replica)
        if replica in self._missing or (tracked is not None and tracked.state != "draining"):
            self._floor = max(0, self._floor - 1)
        if self._floor == 0:
            self.expect(False)

    def _price(self) -> None:
        """Have who has work cost more than who has none: written when that changes, and there is a choice."""
        live = [one for one in self._tracked.values() if not _deleted(one.pod)]
        if len(live) < 2:
            return
        for one in live:
            if one.drains_since is None and not draining(one.pod):
                cost = _AT_WORK if one.busy else _IDLE
                shown = (one.pod["metadata"].get("annotations") or {}).get(COST, _IDLE)
                if self._costs.get(one.name, shown) != cost:
                    self._costs[one.name] = cost
                    self._begin(self._set_cost(one.name, cost))

    async def _mark(self, one: TrackedPod, *, cost: str, draining: str | None) -> None:
        self._costs[one.name] = cost
        async with self._writing[one.name]:
            await self._annotate(self._api.path("pods", one.name), {COST: cost, DRAINING: draining})

    async def _set_cost(self, name: str, cost: str) -> None:
        """Unless it was priced anew, or marked, before this could be written."""
        async with self._writing[name]:
            if self._costs.get(name) == cost:
                await self._annotate(self._api.path("pods", name), {COST: cost})

    async def _annotate(self, path: str, annotations: dict[str, str | None]) -> None:
        """Write annotations; None takes one away. What is refused is told, and comes again with the next
        change."""
        try:
            await self._api.patch(path, {"metadata": {"annotations": annotations}})
        except KubernetesError as error:
            if error.kind != "missing":
                self._events.add(self.endpoint.name, None, "kubernetes", said_by(error))

    async def _delete(self, name: str, grace: int) -> None:
        try:
            options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": grace}
            await self._api.delete(self._api.path("pods", name), options)
        except KubernetesError as error:
            if error.kind != "missing":
                self._events.add(self.endpoint.name, name, "kubernetes", said_by(error))

    async def _last_lines(self, pod: str, previous: bool) -> str:
        path, which = f"{self._api.path('pods', pod)}/log", str(previous).lower()
        try:
            return await self._api.text(path, container=CONTAINER, tailLines=str(_LAST_LINES), previous=which)
        except KubernetesError as error:
            _log.info("no last words", pod=pod, reason=str(error))
            return ""

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _deleted(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))
