"""How an instance goes: it finishes, it is let go, and its group is told that it may end it.

Letting go is taking its protection off and lowering the desired capacity, so that a warm pool may take it
back; the group then picks the one that is not protected. What must go at once is terminated by name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from easel.gateway import replica_words
from easel.gateway.aws import AwsError
from easel.gateway.replicas import ReplicaTimeouts
from easel.gateway.replicas.aws.desired_capacity import DesiredCapacity
from easel.gateway.replicas.aws.group_api import GroupApi
from easel.gateway.replicas.aws.instance import Ending, TrackedInstance
from easel.remark import remark

if TYPE_CHECKING:
    from easel.gateway.replicas.aws.replica_group import ReplicaGroup

Step = Literal["farewell", "finish", "replace", "terminate", "let go"]


def next_step(one: TrackedInstance, now: float) -> Step | None:
    """What is to be done next for an instance that goes or is to be replaced; None: wait for AWS."""
    lag = one.timeouts.scale_in_lag
    unheeded = one.let_go_at is not None and now - one.let_go_at > lag
    if one.instance.leaving:
        return "farewell"
    if one.ending == "finish":
        return "finish"
    if one.ending is None:
        return "replace" if one.replaced else None
    # Lowering the capacity would not reach one that is not in service yet, or that should have gone by now.
    if one.ending == "stop" or one.instance.lifecycle != "InService" or unheeded:
        # AWS took it; until it shows, asking again could cost another one its place.
        asked = one.terminated_at is not None and now - one.terminated_at < lag
        return None if asked else "terminate"
    return "let go" if one.let_go_at is None else None


class Termination:
    """Ends instances of one group; each step is tried again until AWS takes it.

    `replica_group` is as it is when it is asked, which may be an hour after the ending began.
    """

    def __init__(
        self, api: GroupApi, timeouts: ReplicaTimeouts, capacity: DesiredCapacity,
        replica_group: ReplicaGroup, say: Callable[[str | None, str, str], None],
    ) -> None:  # fmt: skip
        self._api = api
        self._timeouts = timeouts
        self._capacity = capacity
        self._replica_group = replica_group
        self._say = say
        self._told: set[str] = set()
        self._steps: dict[Step, Callable[[TrackedInstance], Awaitable[None]]] = {
            "farewell": self._farewell, "finish": self._finish, "let go": self._let_go,
            "terminate": self._terminate, "replace": lambda one: api.replace(one.id),
        }  # fmt: skip

    def begin(self, one: TrackedInstance, ending: Ending) -> None:
        """Note how it is to end; `keep_on` does it."""
        one.ending, one.retry_at = ending, 0.0
        one.status.say("draining", replica_words.FINISHING if ending == "finish" else replica_words.STOPPING)

    def recall(self, one: TrackedInstance) -> None:
        """It is wanted again, and was not let go yet."""
        if one.task is not None:
            one.task.cancel()
        one.ending = one.task = None
        one.status.say("ready", replica_words.READY, text=replica_words.KEPT)

    async def keep_on(self, one: TrackedInstance) -> None:
        """Do what is next for an instance that is to go. Never raises AwsError: it is tried again."""
        one.retry_at = time.monotonic() + self._timeouts.retry
        step = next_step(one, time.monotonic())
        try:
            if step == "finish":
                await self._finish(one)
                one.ending = "go"
                step = next_step(one, time.monotonic())
            if step is not None:
                await self._steps[step](one)
            if step != "farewell":
                one.retry_at = time.monotonic() + self._timeouts.retry
        except AwsError as error:
            if error.kind == "missing":
                return  # it is gone, or its group is
            if f"{one.id} {error.kind}" not in self._told:
                self._told.add(f"{one.id} {error.kind}")
                words = "it cannot be ended yet: {why}; trying again"
                self._say(one.id, "aws", remark("instance_not_ended", words, why=error))

    async def goodbye(self, instance: str) -> None:
        """Complete the termination hook. Raises AwsError."""
        if (group := self._replica_group.group()) is not None:
            await self._api.complete_hook(group.name, self._replica_group.settings.farewell, instance)

    async def _finish(self, one: TrackedInstance) -> None:
        # Twice nothing: a request that passed the door a moment ago may not have arrived yet.
        still, deadline = 0, time.monotonic() + self._replica_group.endpoint.timeouts.request
        beat = time.monotonic()
        while still < 2 and time.monotonic() < deadline and one.address is not None:
            await asyncio.sleep(self._timeouts.drain_poll)
            if one.address is not None:
                report = await self._replica_group.ask(one.address)
                one.work = report.work if report else one.work
            still = still + 1 if one.idle else 0
            group = self._replica_group.group()
            late = time.monotonic() - beat > self._timeouts.hook_heartbeat
            if one.instance.leaving and late and group is not None:
                beat = time.monotonic()
                await self._api.extend_hook(group.name, self._replica_group.settings.farewell, one.id)

    async def _let_go(self, one: TrackedInstance) -> None:
        group = self._replica_group.group()
        if group is None:
            return
        # Lowering takes an instance that is not protected: there must be no other one.
        staying = self._replica_group.staying()
        bare = [
            other.id for other in group.active
            if other.lifecycle == "InService" and not other.protected and other.id in staying
        ]  # fmt: skip
        if bare:
            await self._api.protect(group.name, bare, True)
        await self._api.protect(group.name, [one.id], False)
        one.let_go_at = time.monotonic()
        self._capacity.want(max(self._capacity.of(group) - 1, len(self._replica_group.staying())))
        await self._capacity.ask(group.name)

    async def _terminate(self, one: TrackedInstance) -> None:
        group = self._replica_group.group()
        if group is None:
            return
        desired = self._capacity.of(group)
        # Whether the capacity counts it: not if it was lowered for it, nor if it is one too many already.
        first = one.let_go_at is None and one.terminated_at is None
        lower = first and desired - 1 >= len(self._replica_group.staying())
        await self._api.terminate(one.id, lower=lower)
        if lower:
            self._capacity.believe(desired - 1)
        one.terminated_at = time.monotonic()

    async def _farewell(self, one: TrackedInstance) -> None:
        """Its group waits for our word. What AWS ends on its own account finishes first."""
        if one.ending is None and not one.replaced:
            await self._finish(one)
        if one.instance.lifecycle == "Terminating:Wait":
            await self.goodbye(one.id)
