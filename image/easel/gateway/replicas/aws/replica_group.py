"""One endpoint's instances: more of them when asked, fewer when drained, others for those that failed.

What is to be done says `decision`; here it is seen, done and shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

import structlog

from easel.gateway.aws import Aws, AwsError
from easel.gateway.config import Container, Endpoint, Instances
from easel.gateway.events import Events
from easel.gateway.replicas import ContainerProbe, Replica, ReplicaStatus, ReplicaTimeouts, Report
from easel.gateway.replicas.aws import actions as do
from easel.gateway.replicas.aws import decision
from easel.gateway.replicas.aws.auto_scaling_group import AutoScalingGroup, GroupInstance, no_group
from easel.gateway.replicas.aws.decision import Situation
from easel.gateway.replicas.aws.desired_capacity import DesiredCapacity
from easel.gateway.replicas.aws.group_api import GroupApi
from easel.gateway.replicas.aws.instance import Placeholder, TrackedInstance
from easel.gateway.replicas.aws.inventory import Inventory
from easel.gateway.replicas.aws.observed_state import launches
from easel.gateway.replicas.aws.termination import Termination
from easel.gateway.replicas.aws.warm_pool import SETTLED
from easel.remark import remark, said_by

_log = structlog.get_logger("easel.instances")


class ReplicaGroup:
    """Looks after one Auto Scaling group. `fuse` says why nothing may run, if nothing may."""

    def __init__(
        self, endpoint: Endpoint, *, aws: Aws, inventory: Inventory, probe: ContainerProbe, events: Events,
        timeouts: ReplicaTimeouts, fuse: Callable[[], str | None],
    ) -> None:  # fmt: skip
        self.endpoint = endpoint
        self._inventory = inventory
        self._probe = probe
        self._events = events
        self._timeouts = timeouts
        self._fuse = fuse
        self._api = GroupApi(aws, inventory.changed)
        self._capacity = DesiredCapacity(
            self._api, timeouts, refused=lambda error: self._ask(do.AddPlaceholder(said_by(error), "aws"))
        )
        self._termination = Termination(self._api, timeouts, self._capacity, self, self._say)
        self._tracked: dict[str, TrackedInstance] = {}
        self._at = Situation(AutoScalingGroup("", 0, 0), timeouts=timeouts)
        self._count = self._seen = 0
        self._short_since = time.time()
        self._told: set[str] = set()
        self._listened_at = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def settings(self) -> Instances:
        """Its group's settings."""
        return self.endpoint.instances or Instances(group="?")

    @property
    def _container(self) -> Container:
        return self.endpoint.container or Container(port=7860)

    @property
    def empty(self) -> bool:
        """Whether nothing of it is left."""
        at = self._situation()
        return not (at.instances or at.placeholders or at.desired)

    @property
    def removed(self) -> bool:
        """Whether its endpoint is no more, so that whatever it has goes."""
        return self._at.removed

    def follow(self, endpoint: Endpoint) -> None:
        """The endpoint has these settings, and is there if it was not."""
        self.endpoint = endpoint
        self._know(removed=False)

    def group(self) -> AutoScalingGroup | None:
        """The group as last seen."""
        return self._inventory.group(self.settings.group)

    def staying(self) -> frozenset[str]:
        """The ids of the instances that are not to go."""
        group = self.group()
        return decision.staying(group, self._tracked.values()) if group else frozenset()

    async def ask(self, address: str) -> Report | None:
        """What the replica there says of itself."""
        return await self._probe.ask(self.endpoint, address)

    # ── seeing ───────────────────────────────────────────────────────────────────────────────────

    async def look(self) -> list[Replica]:
        """Every replica. Starts what is due, and waits for none of it."""
        group = self.group()
        if group is not None:
            await self._observe(group)
            if self._seen != self._inventory.number:
                self._seen = self._inventory.number
                self._tend(group)
            if self._capacity.due:
                self._begin(self._capacity.ask(group.name))
            self._listen(group)
        return self._listed()

    def _tend(self, group: AutoScalingGroup) -> None:
        settled = {one.id for one in group.warm if one.lifecycle in SETTLED}
        there = self._inventory.instances(group.name).keys() - settled
        self._know(returning=self._at.returning & there)
        at = self._situation()
        resting = at.resting and at.prepared > 0
        self._know(rollout=at.rollout.follow(self._container.image, at.now, resting=resting))
        self._carry_out(decision.tend(self._at))

    def _situation(self) -> Situation:
        group, name = self.group(), self.settings.group
        self._know(
            group=group or AutoScalingGroup(name, 0, 0),
            desired=self._capacity.of(group) if group else 0,
            now=time.monotonic(),
            instances=tuple(self._tracked.values()),
            absent="" if group else self._inventory.trouble or no_group(name),
            budget=self._fuse() or "",
            prepared=self.settings.warm,
        )
        return self._at

    async def _observe(self, group: AutoScalingGroup) -> None:
        present = {one.id: one for one in group.instances if not one.warm}
        for name in self._tracked.keys() - present.keys():
            self._gone(self._tracked.pop(name))
        for one in present.values():
            if one.id not in self._tracked and one.lifecycle not in ("Terminated", "Detached"):
                status = ReplicaStatus(self.endpoint.name, one.id, self._events, launches(one.place))
                self._tracked[one.id] = TrackedInstance(one, status, self._timeouts)
        limit = max(self._timeouts.unresponsive, self.endpoint.timeouts.wake)

        async def follow(tracked: TrackedInstance, one: GroupInstance) -> None:
            address = self._address(one)
            report = await self.ask(address) if address else None
            tracked.follow(one, report, address, limit)

        known = [(self._tracked[name], one) for name, one in present.items() if name in self._tracked]
        await asyncio.gather(*(follow(tracked, one) for tracked, one in known))

    def _address(self, one: GroupInstance) -> str | None:
        # Until it is in service, what answers at its address may be what had the address before.
        if one.ec2 is None or not one.ec2.address or one.ec2.power != "running":
            return None
        if not (one.lifecycle == "InService" or one.leaving):
            return None
        host = f"[{one.ec2.address}]" if ":" in one.ec2.address else one.ec2.address
        return f"{host}:{self._container.port}"

    def _gone(self, one: TrackedInstance) -> None:
        if one.task is not None:
            one.task.cancel()
        if one.address:
            self._probe.forget(one.address)
        if one.ending is not None:
            self._know(returning=self._at.returning | {one.id})
        if one.verdict is not None:
            self._place(one.status.since, one.verdict, "gave-up")
        elif one.ending is None and one.state != "draining":
            text = remark("instance_gone", "{place} is gone: AWS ended it", place=one.instance.place)
            one.status.event("gone", text)

    def _listen(self, group: AutoScalingGroup) -> None:
        """Hear scaling activities, while an instance is missing or going, and for a while after."""
        at = self._situation()
        moving = at.missing or any(one.lifecycle != "InService" for one in group.instances if not one.warm)
        if moving and at.now - self._listened_at >= self._timeouts.activities_poll:
            self._listened_at = at.now
            self._begin(self._hear(group.name))

    async def _hear(self, name: str) -> None:
        for notice in await self._inventory.notices(name, self.settings.least_vcpus):
            self._carry_out(decision.hear(self._situation(), notice))

    # ── showing ──────────────────────────────────────────────────────────────────────────────────

    def _listed(self) -> list[Replica]:
        at = self._situation()
        if at.missing == 0:
            self._short_since = time.time()
        why = self._capacity.trouble or decision.why_missing(at)
        return [
            *sorted((one.replica() for one in at.instances), key=lambda one: one.since),
            *(one.replica() for one in at.placeholders),
            *(
                Replica(f"{decision.NEXT}{number}", "starting", self._short_since, why)
                for number in range(1, at.missing + 1)
            ),
        ]

    # ── what somebody asks for ───────────────────────────────────────────────────────────────────

    def scale_up(self, count: int) -> None:
        """Have `count` that are not draining."""
        self._carry_out(decision.scale_up(self._situation(), count))

    def drain(self, replica: str) -> None:
        """Let it finish, then go."""
        self._carry_out(decision.drain(self._situation(), replica))

    def stop(self, replica: str) -> None:
        """End it now."""
        self._carry_out(decision.stop(self._situation(), replica))

    def revive(self) -> None:
        """Ask again for what was given up."""
        self._know(failures=0)
        for one in self._tracked.values():
            one.crashes = 0
        self._carry_out(decision.revive(self._situation()))

    def remove(self) -> None:
        """The endpoint is gone: so is all that it has."""
        self._know(removed=True, placeholders=())
        if self.group() is not None:
            self._carry_out(decision.tend(self._situation()))

    def close(self) -> None:
        """Do no more. Instances stay as they are."""
        for task in (*self._tasks, *(one.task for one in self._tracked.values() if one.task)):
            task.cancel()

    # ── doing ────────────────────────────────────────────────────────────────────────────────────

    def _carry_out(self, actions: Iterable[do.Action]) -> None:
        for action in actions:
            if isinstance(action, do.InstanceAction):
                self._handle(action)
            else:
                self._ask(action)

    def _handle(self, action: do.InstanceAction) -> None:
        match action:
            case do.CompleteTermination(instance):
                self._begin(self._termination.goodbye(instance))
            case do.ReplacePrepared(instance):
                self._know(rollout=self._at.rollout.asked(instance, time.monotonic()))
                self._begin(self._replace_prepared(instance))
            case do.Recall(instance):
                self._termination.recall(self._tracked[instance])
            case do.BeginEnding(instance, ending):
                self._termination.begin(self._tracked[instance], ending)
                self._keep_on(instance)
            case do.Replace(instance):
                self._tracked[instance].replace()
                self._keep_on(instance)
            case do.GiveUp(instance, verdict):
                self._tracked[instance].give_up(verdict)
                self._keep_on(instance)
            case do.ContinueEnding(instance):
                self._keep_on(instance)

    def _ask(self, action: do.Action) -> None:
        match action:
            case do.SetDesiredCapacity(count):
                self._capacity.want(count)
                self._begin(self._capacity.ask(self.settings.group))
            case do.SetOnDemandShare(percent):
                self._begin(self._set_share(percent))
            case do.AddPlaceholder(text, kind):
                self._place(time.time(), text, kind)
                self._say(None, kind, text)
            case do.DropPlaceholders(ids):
                self._know(placeholders=tuple(one for one in self._at.placeholders if one.id not in ids))
            case _:
                self._note(action)

    def _note(self, action: do.Action) -> None:
        match action:
            case do.NoteBudget(reason):
                self._know(budget_told=reason)
                self._say(None, "budget", reason or remark("budget_room", "the budget has room again"))
            case do.NoteRollout(text):
                self._know(rollout=replace(self._at.rollout, told=text))
                self._say(None, "prepared", text)
            case do.NoteShortage(text):
                self._know(shortage=text)
                if not text:
                    self._short_since = time.time()
                    self._told.clear()
            case do.SetFailures(count):
                self._know(failures=count)
            case do.Say(replica, kind, text, once):
                if not (once and text in self._told):
                    self._say(replica, kind, text)
                if once:
                    self._told.add(text)

    def _know(self, **changed: Any) -> None:
        self._at = replace(self._at, **changed)

    def _place(self, at: float, text: str, kind: str) -> None:
        self._count += 1
        self._know(placeholders=(*self._at.placeholders, Placeholder(f"none-{self._count}", at, text, kind)))

    async def _set_share(self, percent: int) -> None:
        await self._api.set_on_demand_share(self.settings.group, percent)
        self._know(on_demand_since=time.monotonic() if percent else None)

    async def _replace_prepared(self, instance: str) -> None:
        await self._api.replace(instance)
        words = "holds an older image on its disk: another is prepared in its place"
        self._say(instance, "prepared", remark("older_image", words))

    def _keep_on(self, instance: str) -> None:
        one = self._tracked[instance]
        if one.task is not None:
            one.task.cancel()
        one.task = self._begin(self._termination.keep_on(one))

    def _say(self, replica: str | None, kind: str, text: str) -> None:
        self._events.add(self.endpoint.name, replica, kind, text)

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
