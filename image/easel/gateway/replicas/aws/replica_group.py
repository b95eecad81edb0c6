"""One endpoint's instances: more of them when asked, fewer when drained, others for those that failed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from easel.gateway.aws import Aws, AwsError
from easel.gateway.config import Container, Endpoint, Instances
from easel.gateway.events import Events
from easel.gateway.replicas import Replica, Report
from easel.gateway.replicas.aws.activities import Notice
from easel.gateway.replicas.aws.auto_scaling_group import AutoScalingGroup, GroupInstance
from easel.gateway.replicas.aws.container_probe import ContainerProbe
from easel.gateway.replicas.aws.desired_capacity import DesiredCapacity
from easel.gateway.replicas.aws.instance import Ending, Placeholder, TrackedInstance
from easel.gateway.replicas.aws.inventory import Inventory
from easel.gateway.replicas.aws.spot_fallback import SpotFallback
from easel.gateway.replicas.aws.termination import Termination
from easel.gateway.replicas.aws.timeouts import Patience
from easel.gateway.replicas.aws.warm_pool import LEAVING, WarmPool

_log = structlog.get_logger("easel.instances")
_NEXT = "next-"


class ReplicaGroup:
    """Looks after one group."""

    def __init__(
        self, endpoint: Endpoint, *, aws: Aws, inventory: Inventory, probe: ContainerProbe, events: Events,
        patience: Patience, fuse: Callable[[], str | None],
    ) -> None:  # fmt: skip
        self.endpoint = endpoint
        # Its endpoint is no more: whatever it has goes.
        self.ended = False
        self._inventory = inventory
        self._probe = probe
        self._events = events
        self._patience = patience
        self._fuse = fuse
        self._capacity = DesiredCapacity(
            aws, patience, changed=inventory.changed, refused=lambda error: self._stone(str(error), "aws")
        )
        self._parting = Termination(aws, patience, self._capacity, changed=inventory.changed, say=self._say)
        self._spot = SpotFallback(aws, patience, changed=inventory.changed)
        self._pool = WarmPool(aws, patience, changed=inventory.changed, say=self._say)
        self._minders: dict[str, TrackedInstance] = {}
        # Let go and on their way back to the warm pool.
        self._returning: set[str] = set()
        self._stones: list[Placeholder] = []
        self._count = self._seen = 0
        self._failures = 0
        self._lacking_since = time.time()
        self._lacking = ""
        self._told: set[str] = set()
        self._blown = ""
        self._noticed_at = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def instances(self) -> Instances:
        """Its group's settings."""
        return self.endpoint.instances or Instances(group="?")

    async def ask(self, address: str) -> Report | None:
        """What the replica there says of itself."""
        return await self._probe.ask(self.endpoint, address)

    def longest(self) -> float:
        """Seconds that the last work of a replica may take."""
        return self.endpoint.timeouts.request

    def farewell(self) -> str:
        """The name of its termination hook."""
        return self.instances.farewell

    def staying(self) -> set[str]:
        """The ids of the instances that are not to go."""
        group = self.group()
        going = {minder.id for minder in self._minders.values() if minder.ending in ("go", "stop")}
        return {member.id for member in group.active} - going if group else set()

    @property
    def empty(self) -> bool:
        """Whether nothing of it is left."""
        group = self.group()
        return not self._minders and not self._stones and (group is None or self._capacity.of(group) == 0)

    # ── seeing ───────────────────────────────────────────────────────────────────────────────────

    async def look(self) -> list[Replica]:
        """Every replica. Starts what is due, and waits for none of it."""
        group = self.group()
        if group is not None:
            await self._see(group)
            if self._seen != self._inventory.number:
                self._seen = self._inventory.number
                self._tend(group)
            if self._capacity.due:
                self._begin(self._capacity.ask(group.name))
            await self._hear(group)
        return self._listed()

    async def _see(self, group: AutoScalingGroup) -> None:
        present = {member.id: member for member in group.members if not member.warm}
        for name in [name for name in self._minders if name not in present]:
            self._gone(self._minders.pop(name))
        for member in present.values():
            if member.id not in self._minders and member.lifecycle not in ("Terminated", "Detached"):
                self._minders[member.id] = TrackedInstance(
                    self.endpoint.name, member, self._events, self._patience
                )
        limit = max(self._patience.silence, self.endpoint.timeouts.wake)
        minders = [(self._minders[name], one) for name, one in present.items() if name in self._minders]

        async def follow(minder: TrackedInstance, member: GroupInstance) -> None:
            address = self._address(member)
            report = await self.ask(address) if address else None
            minder.follow(member, report, address, limit)

        await asyncio.gather(*(follow(minder, member) for minder, member in minders))

    def _address(self, member: GroupInstance) -> str | None:
        machine = member.machine
        # Until it is in service, what answers at its address may be what had the address before.
        if machine is None or not machine.address or machine.power != "running":
            return None
        if not (member.lifecycle == "InService" or member.leaving):
            return None
        host = f"[{machine.address}]" if ":" in machine.address else machine.address
        return f"{host}:{(self.endpoint.container or Container(port=7860)).port}"

    def _listed(self) -> list[Replica]:
        listed = sorted((minder.replica() for minder in self._minders.values()), key=lambda one: one.since)
        listed += [stone.replica() for stone in self._stones]
        group = self.group()
        missing = 0 if group is None else self._missing(group)
        if missing == 0:
            self._lacking_since = time.time()
        for number in range(1, missing + 1):
            listed.append(Replica(f"{_NEXT}{number}", "starting", self._lacking_since, self._waits(group)))
        return listed

    def _missing(self, group: AutoScalingGroup) -> int:
        """How many instances were asked for that are not there yet."""
        return max(0, self._capacity.of(group) - len(group.active))

    def _waits(self, group: AutoScalingGroup | None) -> str:
        if self._capacity.trouble:
            return self._capacity.trouble
        if group is not None and "Launch" in group.suspended:
            return "the group's launches are suspended: resume the process Launch of its Auto Scaling group"
        if self._lacking:
            return self._lacking
        stopped = any(member.lifecycle == "Warmed:Stopped" for member in group.warm) if group else False
        return "starting a warm instance" if stopped else "asking AWS for an instance"

    async def _hear(self, group: AutoScalingGroup) -> None:
        """Scaling activities, while an instance is missing or going, and for a while after."""
        moving = self._missing(group) > 0 or any(
            m.lifecycle != "InService" for m in group.members if not m.warm
        )
        now = time.monotonic()
        if not moving or now - self._noticed_at < self._patience.activities:
            return
        self._noticed_at = now
        self._begin(self._heard(group.name))

    async def _heard(self, name: str) -> None:
        for said in await self._inventory.notices(name, self.instances.least_vcpus):
            self._take(said)

    def _take(self, said: Notice) -> None:
        minder = self._minders.get(said.instance or "")
        expected = minder is not None and minder.ending is not None
        text = said.text
        if said.kind == "health" and (expected or said.instance in self._pool.replaced):
            return  # we said so ourselves
        # The group tries on, zone by zone: each sentence is told once per waking.
        if said.kind == "health" or text not in self._told:
            self._told.add(text)
            self._events.add(self.endpoint.name, said.instance, said.kind, text)
        group = self.group()
        if group is None or said.kind == "health":
            return
        self._lacking = text
        short = said.kind in ("spot", "spot-quota") and self._spot.short(group)
        if short and self._missing(group):
            self._say(None, "spot", "buying on-demand until there is spot again")
            self._begin(self._spot.share(group, 100))
        if said.kind == "abandoned":
            self._failures += 1
        hopeless = (said.hopeless and not short) or self._failures >= self._patience.attempts
        if hopeless and (missing := self._missing(group)):
            # Else the group asks AWS again for ever, and starts when nobody waits any more.
            self._capacity.want(len(group.active))
            self._begin(self._capacity.ask(group.name))
            tries = f"gave up after {self._failures} instances; the last one: " if not said.hopeless else ""
            for _ in range(missing):
                self._stone(f"{tries}{text}", "gave-up")

    # ── acting ───────────────────────────────────────────────────────────────────────────────────

    async def raise_to(self, count: int) -> None:
        """Have `count` that are not draining."""
        lacking = count - sum(1 for one in self._listed() if one.state != "draining")
        if lacking <= 0:
            return
        if reason := self._fuse():
            self._stone(reason, "budget", budget=True)
            return
        group = self.group()
        if group is None:
            why = (
                self._inventory.trouble
                or f"there is no Auto Scaling group {self.instances.group}: `pulumi up` makes it"
            )
            self._stone(why, "aws")
            return
        desired, limit = self._capacity.of(group), group.max
        # One that still can, stays: a new one would be minutes away, and the group may have no room for it.
        for minder in self._minders.values():
            if lacking > 0 and minder.ending == "finish" and not minder.interrupted:
                self._parting.recall(minder)
                lacking -= 1
        wish = min(desired + lacking, limit)
        if wish > desired and self._spot.again(group):
            self._begin(self._spot.share(group, 0))
        if wish > desired:
            self._forget_refusals()
            self._capacity.want(wish)
            self._begin(self._capacity.ask(group.name))

    async def drain(self, replica: str) -> None:
        """Let it finish, then go."""
        minder, group = self._minders.get(replica), self.group()
        if minder is None or group is None:
            self._cancel(replica)
        elif minder.ending is None:
            minder.verdict = None
            self._part(minder, "finish" if minder.state == "ready" else "go")

    async def stop(self, replica: str) -> None:
        """End it now."""
        minder = self._minders.get(replica)
        if minder is None:
            self._cancel(replica)
        elif minder.ending != "stop":
            minder.verdict = None
            self._part(minder, "stop")

    async def revive(self) -> None:
        """Ask again for what was given up."""
        self._failures = 0
        blown = self._fuse()
        kept = [stone for stone in self._stones if stone.budget and blown]
        count, self._stones = len(self._stones) - len(kept), kept
        for minder in self._minders.values():
            minder.crashes = 0
        group = self.group()
        if group is None or not count:
            return
        self._forget_refusals()
        self._capacity.want(min(self._capacity.of(group) + count, group.max))
        self._begin(self._capacity.ask(group.name))

    def _forget_refusals(self) -> None:
        self._lacking, self._lacking_since = "", time.time()
        self._told.clear()

    async def end(self) -> None:
        """The endpoint is gone: so is all that it has."""
        self.ended = True
        self._stones.clear()
        group = self.group()
        if group is None:
            return
        for minder in list(self._minders.values()):
            if minder.ending != "stop":
                self._part(minder, "stop")
        if self._missing(group):
            self._capacity.want(len(group.active))
            self._begin(self._capacity.ask(group.name))

    def close(self) -> None:
        """Do no more. Instances stay as they are."""
        for task in (*self._tasks, *(m.task for m in self._minders.values() if m.task)):
            task.cancel()

    def _tend(self, group: AutoScalingGroup) -> None:
        """Keep at what is under way; replace what failed; say farewell to what AWS ends."""
        reason = self._fuse() or ""
        if reason != self._blown:
            self._blown = reason
            self._events.add(self.endpoint.name, None, "budget", reason or "the budget has room again")
        if not reason:
            self._stones = [stone for stone in self._stones if not stone.budget]
        for minder in list(self._minders.values()):
            if self.ended and minder.ending != "stop":
                self._part(minder, "stop")
            elif minder.ending is None and (reason or minder.interrupted):
                if minder.interrupted:
                    self._say(minder.id, "spot", minder.interrupted)
                self._part(minder, "finish" if minder.state == "ready" else "go")
            elif minder.state == "failed" and minder.ending is None and not minder.replaced:
                self._failed(minder)
            if minder.steady:
                self._failures = 0
            if self._parting.due(minder):
                minder.task = self._begin(self._parting.keep_on(minder, self))
        if reason and self._missing(group):
            self._capacity.want(len(group.active))
        self._returning &= self._inventory.machines(group.name).keys()
        for member in group.warm:
            returning = member.id in self._returning and member.lifecycle.endswith(":Wait")
            if returning or member.lifecycle == LEAVING:
                self._begin(self._parting.goodbye(member.id, self))
            elif member.lifecycle in ("Warmed:Stopped", "Warmed:Hibernated", "Warmed:Running"):
                self._returning.discard(member.id)
        resting = not (self.ended or reason or self._stones or self._missing(group))
        if old := self._pool.outdated(group, self.endpoint, self._minders.values(), resting=resting):
            self._begin(self._pool.replace(old))
        # Called off a moment too late, an instance came all the same; protected, it would stay for ever.
        surplus = len(self.staying()) - self._capacity.of(group)
        unready = [one for one in self._minders.values() if one.ending is None and one.state != "ready"]
        for minder in sorted(unready, key=lambda one: -one.since)[: max(0, surplus)]:
            if minder.member.active and minder.verdict is None:
                self._part(minder, "stop")

    def _failed(self, minder: TrackedInstance) -> None:
        patience = self._patience
        for_good = minder.failed_at is not None and time.monotonic() - minder.failed_at > patience.mend
        if minder.crashes < patience.crashes and not for_good:
            return
        minder.replaced = True
        self._failures += 1
        if self._failures >= patience.attempts:
            minder.verdict = f"gave up after {self._failures} instances; the last one: {minder.detail}"
            minder.say("failed", minder.verdict, "gave-up")
            minder.ending = "stop"
        else:
            minder.say("failed", f"{minder.detail}; another instance takes its place", "replaced")

    def _part(self, minder: TrackedInstance, ending: Ending) -> None:
        if minder.task is not None:
            minder.task.cancel()
        self._parting.begin(minder, ending)
        if self.group() is not None:
            minder.task = self._begin(self._parting.keep_on(minder, self))

    def _cancel(self, replica: str) -> None:
        """Do without an instance that is not there: one given up, or one that is still being asked for."""
        stones = [stone for stone in self._stones if stone.id != replica]
        if len(stones) < len(self._stones):
            self._stones = stones
            return
        group = self.group()
        if group is not None and replica.startswith(_NEXT) and self._missing(group):
            self._capacity.want(max(self._capacity.of(group) - 1, len(group.active)))
            self._begin(self._capacity.ask(group.name))

    def _gone(self, minder: TrackedInstance) -> None:
        if minder.task is not None:
            minder.task.cancel()
        if minder.address:
            self._probe.forget(minder.address)
        if minder.ending is not None:
            self._returning.add(minder.id)
        if minder.verdict is not None:
            self._stones.append(Placeholder(self._name(), minder.since, minder.verdict))
        elif minder.ending is None and minder.state != "draining":
            self._events.add(
                self.endpoint.name, minder.id, "gone", f"{minder.member.place} is gone: AWS ended it"
            )

    def _stone(self, text: str, kind: str, *, budget: bool = False) -> None:
        self._stones.append(Placeholder(self._name(), time.time(), text, budget))
        self._events.add(self.endpoint.name, None, kind, text)

    def _name(self) -> str:
        self._count += 1
        return f"none-{self._count}"

    def _say(self, replica: str | None, kind: str, text: str) -> None:
        self._events.add(self.endpoint.name, replica, kind, text)

    def group(self) -> AutoScalingGroup | None:
        """The group as last seen."""
        return self._inventory.group(self.instances.group)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._safely(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _safely(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except AwsError as error:
            _log.warning("AWS did not do it", endpoint=self.endpoint.name, reason=str(error))
