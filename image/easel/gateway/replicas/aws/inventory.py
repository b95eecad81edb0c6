"""What AWS shows of all groups of the team: one look for all endpoints, kept for some seconds.

Ten endpoints that each asked every second would be throttled, and each would see another moment. When AWS
does not answer, what was seen last is kept, and said to be old once that lasts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import structlog

from easel.gateway.aws import Aws, AwsError
from easel.gateway.events import Events
from easel.gateway.replicas import ReplicaTimeouts
from easel.gateway.replicas.aws.activities import Notice, notice
from easel.gateway.replicas.aws.auto_scaling_group import (
    AutoScalingGroup,
    Ec2Instance,
    no_group,
    read_ec2,
    read_group,
)
from easel.remark import figure, remark, said_by

_log = structlog.get_logger("easel.instances")
TEAM = "team"
# Seconds that a fleet waits for a look before it takes the last one.
_SLOW = 2.0
# A group's name that `DescribeAutoScalingGroups` takes at once.
_NAMES = 50
_SHOWN = ("pending", "running", "shutting-down", "stopping", "stopped", "terminated")


class Inventory:
    """The groups and their instances as last seen."""

    def __init__(self, aws: Aws, events: Events, timeouts: ReplicaTimeouts) -> None:
        self._aws = aws
        self._events = events
        self._timeouts = timeouts
        self._names: set[str] = set()
        self._groups: dict[str, AutoScalingGroup] = {}
        self._instances: dict[str, dict[str, Ec2Instance]] = {}
        # How often AWS was seen: tells whether a look was a fresh one.
        self.number = 0
        self._task: asyncio.Task[None] | None = None
        self._looked_at: float | None = None
        self._stale = True
        self._trouble: AwsError | None = None
        self._since: float | None = None
        self._told: set[str] = set()
        self._heard: dict[str, set[str]] = {}
        self._began = time.time()

    @property
    def trouble(self) -> str:
        """Why the last look failed; empty if it did not."""
        return said_by(self._trouble) if self._trouble else ""

    def watch(self, groups: Iterable[str]) -> None:
        """Look at these groups from now on."""
        names = {name for name in groups if name}
        if names - self._names:
            self._stale = True
        self._names = names

    def changed(self) -> None:
        """Something was just asked of AWS: the next look is a fresh one."""
        self._stale = True

    def group(self, name: str) -> AutoScalingGroup | None:
        """The group, or None if it was not seen yet or is gone."""
        return self._groups.get(name)

    def instances(self, name: str) -> dict[str, Ec2Instance]:
        """What EC2 says of the instances of a group, warm ones too, by id."""
        return self._instances.get(name, {})

    async def look(self) -> None:
        """See all groups, unless that was done a moment ago. Waits for a slow AWS only at first."""
        now = time.monotonic()
        due = self._looked_at is None or now - self._looked_at >= self._timeouts.inventory_age
        busy = self._task is not None and not self._task.done()
        if not busy and (due or (self._stale and self._trouble is None)):
            # Noted before asking: what changes while we ask must be looked at again.
            self._stale, self._looked_at = False, now
            self._task = asyncio.create_task(self._refresh(now), name="look at AWS")
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=_SLOW if self.number else None)

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _refresh(self, now: float) -> None:
        try:
            await self._see()
        except AwsError as error:
            self._failed(error, now)
        except Exception:  # an answer that no documentation shows; the next one may be as documented
            _log.exception("cannot read what AWS answered")
        else:
            self.number += 1
            self._answered(time.monotonic())

    async def _see(self) -> None:
        names = sorted(self._names)
        groups: dict[str, AutoScalingGroup] = {}
        known: dict[str, dict[str, Ec2Instance]] = {name: {} for name in names}
        for first in range(0, len(names), _NAMES):
            some = names[first : first + _NAMES]
            found = await self._aws.every(
                "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups",
                AutoScalingGroupNames=some,
            )  # fmt: skip
            pools = {
                one["AutoScalingGroupName"]: await self._pool(one["AutoScalingGroupName"])
                for one in found
                if one.get("WarmPoolConfiguration")
            }
            # Last: what a host tags before it completes its hook is there once its group says that it has.
            # Asked first, a prepared instance seemed to hold no image, and another was prepared in its place.
            await self._see_instances(some, known)
            for one in found:
                name = one["AutoScalingGroupName"]
                groups[name] = read_group(one, pools.get(name, []), known.get(name, {}))
        for name in set(names) - groups.keys():
            self._once(f"missing {name}", no_group(name))
        self._groups, self._instances = groups, known

    async def _see_instances(self, groups: list[str], known: dict[str, dict[str, Ec2Instance]]) -> None:
        # By tag, not by id: an instance that EC2 does not know yet would fail the whole question.
        reservations = await self._aws.every(
            "ec2", "describe_instances", "Reservations",
            Filters=[
                {"Name": "tag:aws:autoscaling:groupName", "Values": groups},
                {"Name": "instance-state-name", "Values": list(_SHOWN)},
            ],
        )  # fmt: skip
        for one in (one for reservation in reservations for one in reservation.get("Instances", [])):
            owner = next((t["Value"] for t in one["Tags"] if t["Key"] == "aws:autoscaling:groupName"), "")
            known.setdefault(owner, {})[one["InstanceId"]] = read_ec2(one)

    async def _pool(self, name: str) -> list[dict[str, object]]:
        return await self._aws.every(
            "autoscaling", "describe_warm_pool", "Instances", AutoScalingGroupName=name
        )

    async def notices(self, name: str, least_vcpus: int) -> list[Notice]:
        """What the group's activities have to say since the gateway began, each once, oldest first."""
        try:
            answer = await self._aws.ask(
                "autoscaling", "describe_scaling_activities", AutoScalingGroupName=name, MaxRecords=20
            )
        except AwsError as error:
            if not error.passing:
                self._once(f"activities {error.kind}", said_by(error))
            return []
        heard = self._heard.setdefault(name, set())
        fresh: list[Notice] = []
        for activity in reversed(answer.get("Activities", [])):
            said = notice(activity, least_vcpus)
            # A minute before the gateway began: it may have been replaced while something went wrong.
            if said is not None and said.id not in heard and said.at >= self._began - 60:
                heard.add(said.id)
                fresh.append(said)
        return fresh

    def _failed(self, error: AwsError, now: float) -> None:
        self._trouble = error
        self._since = self._since if self._since is not None else now
        if not error.passing:
            text = remark("instances_unseen", "cannot see the instances: {why}", why=error)
            self._once(f"look {error.kind}", text)
        elif now - self._since >= self._timeouts.inventory_stale:
            words = "nothing new of the instances for {n} s, what is shown is old: {why}"
            passed = figure(now - self._since, ".0f")
            self._once("look", remark("instances_stale", words, n=passed, why=error))

    def _answered(self, now: float) -> None:
        if self._since is not None and any(key.startswith("look") for key in self._told):
            passed = figure(now - self._since, ".0f")
            text = remark("aws_again", "AWS answers again, after {n} s", n=passed)
            self._events.add(TEAM, None, "aws", text)
        self._trouble = self._since = None
        self._told = {key for key in self._told if not key.startswith("look")}

    def _once(self, key: str, text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self._events.add(TEAM, None, "aws", text)
