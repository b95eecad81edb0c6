"""How an instance goes: it finishes, it is let go, and its group is told that it may end it.

Letting go is taking its protection off and lowering the desired capacity, so that a warm pool may take it
back; the group then picks the one that is not protected. What must go at once is terminated by name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from easel.gateway.aws import Aws, AwsError
from easel.gateway.replicas import Report
from easel.gateway.replicas.aws.auto_scaling_group import AutoScalingGroup
from easel.gateway.replicas.aws.desired_capacity import DesiredCapacity
from easel.gateway.replicas.aws.instance import Ending, TrackedInstance
from easel.gateway.replicas.aws.timeouts import Patience

Say = Callable[[str | None, str, str], None]


class Here(Protocol):
    """The group as it is when it is asked, which may be an hour after the parting began."""

    def group(self) -> AutoScalingGroup | None:
        """As last seen."""
        ...

    def staying(self) -> set[str]:
        """The ids of the instances that are not to go."""
        ...

    async def ask(self, address: str) -> Report | None:
        """What the replica there says of itself."""
        ...

    def longest(self) -> float:
        """Seconds that last work may take."""
        ...

    def farewell(self) -> str:
        """The name of the termination hook."""
        ...


_NO_ACTION = "no active lifecycle action"


class Termination:
    """Ends instances of one group; each step is tried again until AWS takes it."""

    def __init__(
        self, aws: Aws, patience: Patience, capacity: DesiredCapacity, *,
        changed: Callable[[], None], say: Say,
    ) -> None:  # fmt: skip
        self._aws = aws
        self._patience = patience
        self._capacity = capacity
        self._changed = changed
        self._say = say
        self._told: set[str] = set()

    def begin(self, minder: TrackedInstance, ending: Ending) -> None:
        """Note how it is to end; `keep_on` does it."""
        busy = ending == "finish"
        minder.ending, minder.retry_at = ending, 0.0
        minder.say("draining", "finishing its pictures" if busy else "stopping")

    def recall(self, minder: TrackedInstance) -> None:
        """It is wanted again, and was not let go yet."""
        if minder.task is not None:
            minder.task.cancel()
        minder.ending = minder.task = None
        minder.say("ready", "ready", text="kept: it is wanted again")

    def due(self, minder: TrackedInstance) -> bool:
        """Whether there is something to do for it now."""
        if minder.task is not None and not minder.task.done():
            return False
        wanted = minder.ending is not None or minder.replaced or minder.member.lifecycle == "Terminating:Wait"
        return wanted and time.monotonic() >= minder.retry_at

    async def keep_on(self, minder: TrackedInstance, here: Here) -> None:
        """Do what is next for an instance that is to go. Never raises Refusal: it is tried again."""
        minder.retry_at = time.monotonic() + self._patience.again
        try:
            if minder.member.leaving:
                await self._farewell(minder, here)
                return
            if minder.ending == "finish":
                await self._finish(minder, here)
                minder.ending = "go"
            if minder.replaced and minder.ending is None:
                await self._replace(minder)
            elif minder.ending == "stop" or (minder.ending == "go" and self._by_name(minder)):
                await self._terminate(minder, here)
            elif minder.ending == "go" and minder.let_go_at is None:
                await self._let_go(minder, here)
            minder.retry_at = time.monotonic() + self._patience.again
        except AwsError as error:
            if error.kind == "missing":
                return  # it is gone, or its group is
            if f"{minder.id} {error.kind}" not in self._told:
                self._told.add(f"{minder.id} {error.kind}")
                self._say(minder.id, "aws", f"it cannot be ended yet: {error}; trying again")

    def _by_name(self, minder: TrackedInstance) -> bool:
        """Whether lowering the capacity would not reach it: not in service yet, or it should have gone by
        now."""
        unheeded = (
            minder.let_go_at is not None and time.monotonic() - minder.let_go_at > self._patience.unheeded
        )
        return minder.member.lifecycle != "InService" or unheeded

    async def _finish(self, minder: TrackedInstance, here: Here) -> None:
        # Twice nothing: a request that passed the door a moment ago may not have arrived yet.
        still, deadline = 0, time.monotonic() + here.longest()
        beat = time.monotonic()
        while still < 2 and time.monotonic() < deadline and minder.address is not None:
            await asyncio.sleep(self._patience.settle)
            if minder.address is not None:
                report = await here.ask(minder.address)
                minder.work = report.work if report else minder.work
            still = still + 1 if minder.idle else 0
            if minder.member.leaving and time.monotonic() - beat > self._patience.heartbeat:
                beat = time.monotonic()
                await self._hook("record_lifecycle_action_heartbeat", minder.id, here)

    async def _let_go(self, minder: TrackedInstance, here: Here) -> None:
        group = here.group()
        if group is None:
            return
        # Lowering takes an instance that is not protected: there must be no other one.
        staying = here.staying()
        bare = [
            member.id for member in group.active
            if member.lifecycle == "InService" and not member.protected and member.id in staying
        ]  # fmt: skip
        if bare:
            await self._protect(group.name, bare, True)
        await self._protect(group.name, [minder.id], False)
        minder.let_go_at = time.monotonic()
        self._capacity.want(max(self._capacity.of(group) - 1, len(here.staying())))
        await self._capacity.ask(group.name)

    async def _terminate(self, minder: TrackedInstance, here: Here) -> None:
        # AWS took it; until it shows, asking again could cost another one its place.
        asked = minder.terminated_at
        if asked is not None and time.monotonic() - asked < self._patience.unheeded:
            return
        group = here.group()
        if group is None:
            return
        desired = self._capacity.of(group)
        # Whether the capacity counts it: not if it was lowered for it, nor if it is one too many already.
        first = minder.let_go_at is None and minder.terminated_at is None
        lower = first and desired - 1 >= len(here.staying())
        await self._aws.ask(
            "autoscaling", "terminate_instance_in_auto_scaling_group",
            InstanceId=minder.id, ShouldDecrementDesiredCapacity=lower,
        )  # fmt: skip
        if lower:
            self._capacity.believe(desired - 1)
        minder.terminated_at = time.monotonic()
        self._changed()

    async def _replace(self, minder: TrackedInstance) -> None:
        await self._aws.ask(
            "autoscaling", "set_instance_health",
            InstanceId=minder.id, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False,
        )  # fmt: skip
        self._changed()

    async def _farewell(self, minder: TrackedInstance, here: Here) -> None:
        """Its group waits for our word. What AWS ends on its own account finishes first."""
        if minder.ending is None and not minder.replaced:
            await self._finish(minder, here)
        if minder.member.lifecycle == "Terminating:Wait":
            await self.goodbye(minder.id, here)

    async def goodbye(self, instance: str, here: Here) -> None:
        """Complete the termination hook. Raises AwsError."""
        await self._hook("complete_lifecycle_action", instance, here, LifecycleActionResult="CONTINUE")
        self._changed()

    async def _hook(self, operation: str, instance: str, here: Here, **more: str) -> None:
        group = here.group()
        if group is None:
            return
        try:
            await self._aws.ask(
                "autoscaling", operation, AutoScalingGroupName=group.name,
                LifecycleHookName=here.farewell(), InstanceId=instance, **more,
            )  # fmt: skip
        except AwsError as error:
            # Nobody waits for it: it is another hook's turn, or the time was up.
            if _NO_ACTION not in error.message.lower():
                raise

    async def _protect(self, group: str, members: list[str], protected: bool) -> None:
        await self._aws.ask(
            "autoscaling", "set_instance_protection",
            AutoScalingGroupName=group, InstanceIds=members, ProtectedFromScaleIn=protected,
        )  # fmt: skip
        self._changed()
