"""Replicas as instances of Auto Scaling groups; see `Backend` for what the verbs promise."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

from easel.gateway.aws import Aws, AwsError
from easel.gateway.config import Budget, Endpoint
from easel.gateway.errors import ConfigError
from easel.gateway.events import Events
from easel.gateway.replicas import ContainerProbe, OpenRequests, Replica, ReplicaTimeouts, Spending, Vouch
from easel.gateway.replicas.aws.inventory import Inventory
from easel.gateway.replicas.aws.replica_group import ReplicaGroup

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
# CloudWatch Logs gives no more at once.
_MOST_LINES = 10_000
# Awake: EC2 asks money for it.
_AWAKE = ("pending", "running")

# An instance takes minutes where a process takes seconds, and each costs money.
INSTANCES = ReplicaTimeouts(backoff_limit=3, min_ready=300.0, drain_poll=2.0)


class InstancesBackend:
    """Starts and stops EC2 instances through one Auto Scaling group per endpoint.

    `spending` counts what they cost, `budget` says what they may; without either there is no fuse.
    `open_requests` is what the door let through, for containers that report no load.
    """

    autoscaler = None

    def __init__(
        self, aws: Aws, events: Events, *, open_requests: OpenRequests | None = None,
        spending: Spending | None = None, budget: Callable[[], Budget | None] = lambda: None,
        timeouts: ReplicaTimeouts = INSTANCES, vouch: Vouch | None = None,
    ) -> None:  # fmt: skip
        self._aws = aws
        self.events = events
        self._open_requests = open_requests or OpenRequests()
        self._spending = spending
        self._budget = budget
        self._timeouts = timeouts
        self._inventory = Inventory(aws, events, timeouts)
        self._probe = ContainerProbe(self._open_requests, timeouts.probe, vouch)
        self._groups: dict[str, ReplicaGroup] = {}
        self._counted = 0

    @property
    def awake(self) -> bool:
        """Whether any endpoint has something, or has asked for something."""
        return any(not group.empty for group in self._groups.values())

    async def follow(self, endpoint: Endpoint) -> None:
        """Know the endpoint. Raises ConfigError if it says nothing of a group."""
        if endpoint.instances is None:
            raise ConfigError(
                f"config/{endpoint.name}.json: instances is missing: `pulumi up` writes it; "
                "or set runs_on to local in config/team.json"
            )
        group = self._groups.get(endpoint.name)
        if group is None:
            self._groups[endpoint.name] = ReplicaGroup(
                endpoint, aws=self._aws, inventory=self._inventory, probe=self._probe, events=self.events,
                timeouts=self._timeouts, fuse=self.blown,
            )  # fmt: skip
        else:
            group.follow(endpoint)
        self._watch()

    async def forget(self, endpoint: str) -> None:
        """The endpoint is no more: its instances are terminated."""
        if group := self._groups.get(endpoint):
            group.remove()

    async def replicas(self, endpoint: str) -> list[Replica]:
        """The endpoint's instances; AWS as seen some seconds ago at most, containers asked just now."""
        group = self._groups.get(endpoint)
        if group is None:
            return []
        await self._inventory.look()
        if self._counted != self._inventory.number:
            self._counted = self._inventory.number
            await self._count()
        replicas = await group.look()
        if group.removed and group.empty:
            group.close()
            self._groups.pop(endpoint, None)
            self._watch()
        return replicas

    async def set_capacity(self, endpoint: str, count: int) -> None:
        """Raise the desired capacity until `count` are there that are not draining; never lowers it."""
        # A gateway that has just begun must see what runs before it asks for more.
        await self.replicas(endpoint)
        self._groups[endpoint].scale_up(count)

    async def drain(self, endpoint: str, replica: str) -> None:
        """Let it finish, then let it go."""
        if group := self._groups.get(endpoint):
            group.drain(replica)

    async def stop(self, endpoint: str, replica: str) -> None:
        """Terminate it now."""
        if group := self._groups.get(endpoint):
            group.stop(replica)

    async def revive(self, endpoint: str) -> None:
        """Ask again for what was given up."""
        if group := self._groups.get(endpoint):
            group.revive()

    async def logs(self, endpoint: str, replica: str, tail: int) -> str:
        """The last lines of the instance's stream in CloudWatch Logs, also of one that is gone."""
        group = self._groups.get(endpoint)
        if group is None or tail < 1 or not _INSTANCE.fullmatch(replica) or not group.settings.log_group:
            return ""
        try:
            answer = await self._aws.ask(
                "logs", "get_log_events", logGroupName=group.settings.log_group, logStreamName=replica,
                limit=min(tail, _MOST_LINES), startFromHead=False,
            )  # fmt: skip
        except AwsError as error:
            return "" if error.kind == "missing" else f"({error})\n"
        return "".join(f"{event.get('message', '').rstrip()}\n" for event in answer.get("events", []))

    async def close(self) -> None:
        """Look no more. Instances stay as they are: the next gateway finds them."""
        for group in self._groups.values():
            group.close()
        self._inventory.close()
        await self._probe.close()
        if self._spending is not None:
            await asyncio.to_thread(self._spending.save)
        self._aws.close()

    def blown(self) -> str | None:
        """Why nothing may wake, if the fuse has blown."""
        budget = self._budget()
        if self._spending is None or budget is None or not budget.stop:
            return None
        return self._spending.over(budget.monthly, time.time())

    async def _count(self) -> None:
        if self._spending is None:
            return
        for name, group in self._groups.items():
            instances = self._inventory.instances(group.settings.group).values()
            awake = [one.launched or 0.0 for one in instances if one.power in _AWAKE]
            self._spending.count(name, group.settings.price, awake, time.time())
        if self._spending.due:
            await asyncio.to_thread(self._spending.save)

    def _watch(self) -> None:
        self._inventory.watch(group.settings.group for group in self._groups.values())
