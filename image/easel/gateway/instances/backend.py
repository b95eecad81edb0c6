"""Replicas as instances of Auto Scaling groups; see `Backend` for what the verbs promise."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

from easel.gateway.aws import Aws, AwsError
from easel.gateway.backend import Replica
from easel.gateway.config import Budget, Endpoint
from easel.gateway.errors import ConfigError
from easel.gateway.events import Events
from easel.gateway.instances.answers import Answers
from easel.gateway.instances.crew import Crew
from easel.gateway.instances.patience import Patience
from easel.gateway.instances.sight import Sight
from easel.gateway.instances.spent import Spent
from easel.gateway.passing import Passing
from easel.gateway.probe import Vouch

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
# CloudWatch Logs gives no more at once.
_MOST_LINES = 10_000
# Awake: EC2 asks money for it.
_AWAKE = ("pending", "running")


class InstancesBackend:
    """Starts and stops EC2 instances through one Auto Scaling group per endpoint.

    `spent` counts what they cost, `budget` says what they may; without either there is no fuse. `passing` is
    what the door let through, for containers that report no load.
    """

    def __init__(
        self, aws: Aws, events: Events, *, passing: Passing | None = None, spent: Spent | None = None,
        budget: Callable[[], Budget | None] = lambda: None, patience: Patience | None = None,
        vouch: Vouch | None = None,
    ) -> None:  # fmt: skip
        self._aws = aws
        self._events = events
        self._passing = passing or Passing()
        self._spent = spent
        self._budget = budget
        self._patience = patience or Patience()
        self._sight = Sight(aws, events, keep=self._patience.keep, quiet=self._patience.quiet)
        self._answers = Answers(self._passing, vouch=vouch)
        self._crews: dict[str, Crew] = {}
        self._counted = 0

    @property
    def events(self) -> Events:
        """What happened, in AWS's words where it is AWS that says no."""
        return self._events

    @property
    def awake(self) -> bool:
        """Whether any endpoint has something, or has asked for something."""
        return any(not crew.empty for crew in self._crews.values())

    async def follow(self, endpoint: Endpoint) -> None:
        """Know the endpoint. Raises ConfigError if it says nothing of a group."""
        if endpoint.instances is None:
            raise ConfigError(
                f"config/{endpoint.name}.json: instances is missing: `pulumi up` writes it; "
                "or set runs_on to local in config/team.json"
            )
        crew = self._crews.get(endpoint.name)
        if crew is None:
            self._crews[endpoint.name] = Crew(
                endpoint, aws=self._aws, sight=self._sight, answers=self._answers, events=self._events,
                patience=self._patience, fuse=self.blown,
            )  # fmt: skip
        else:
            crew.endpoint, crew.ended = endpoint, False
        self._watch()

    async def forget(self, endpoint: str) -> None:
        """The endpoint is no more: its instances are terminated."""
        if crew := self._crews.get(endpoint):
            await crew.end()

    async def replicas(self, endpoint: str) -> list[Replica]:
        """The endpoint's instances; AWS as seen some seconds ago at most, containers asked just now."""
        crew = self._crews.get(endpoint)
        if crew is None:
            return []
        await self._sight.look()
        if self._counted != self._sight.number:
            self._counted = self._sight.number
            await self._count()
        replicas = await crew.look()
        if crew.ended and crew.empty:
            crew.close()
            self._crews.pop(endpoint, None)
            self._watch()
        return replicas

    async def set_capacity(self, endpoint: str, count: int) -> None:
        """Raise the desired capacity until `count` are there that are not draining; never lowers it."""
        # A gateway that has just begun must see what runs before it asks for more.
        await self.replicas(endpoint)
        await self._crews[endpoint].raise_to(count)

    async def drain(self, endpoint: str, replica: str) -> None:
        """Let it finish, then let it go."""
        if crew := self._crews.get(endpoint):
            await crew.drain(replica)

    async def stop(self, endpoint: str, replica: str) -> None:
        """Terminate it now."""
        if crew := self._crews.get(endpoint):
            await crew.stop(replica)

    async def revive(self, endpoint: str) -> None:
        """Ask again for what was given up."""
        if crew := self._crews.get(endpoint):
            await crew.revive()

    async def logs(self, endpoint: str, replica: str, tail: int) -> str:
        """The last lines of the instance's stream in CloudWatch Logs, also of one that is gone."""
        crew = self._crews.get(endpoint)
        if crew is None or tail < 1 or not _INSTANCE.fullmatch(replica) or not crew.instances.log_group:
            return ""
        try:
            answer = await self._aws.ask(
                "logs", "get_log_events", logGroupName=crew.instances.log_group, logStreamName=replica,
                limit=min(tail, _MOST_LINES), startFromHead=False,
            )  # fmt: skip
        except AwsError as error:
            return "" if error.kind == "missing" else f"({error})\n"
        return "".join(f"{event.get('message', '').rstrip()}\n" for event in answer.get("events", []))

    async def close(self) -> None:
        """Look no more. Instances stay as they are: the next gateway finds them."""
        for crew in self._crews.values():
            crew.close()
        self._sight.close()
        await self._answers.close()
        if self._spent is not None:
            await asyncio.to_thread(self._spent.save)
        self._aws.close()

    def blown(self) -> str | None:
        """Why nothing may wake, if the fuse has blown."""
        budget = self._budget()
        if self._spent is None or budget is None or not budget.stop:
            return None
        return self._spent.over(budget.monthly, time.time())

    async def _count(self) -> None:
        if self._spent is None:
            return
        for name, crew in self._crews.items():
            machines = self._sight.machines(crew.instances.group).values()
            awake = [machine.launched or 0.0 for machine in machines if machine.power in _AWAKE]
            self._spent.count(name, crew.instances.price, awake, time.time())
        if self._spent.due:
            await asyncio.to_thread(self._spent.save)

    def _watch(self) -> None:
        self._sight.watch(crew.instances.group for crew in self._crews.values())
