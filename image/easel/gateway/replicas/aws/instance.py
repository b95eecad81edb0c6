"""What the gateway remembers of one instance from look to look."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

from easel.gateway.events import Events
from easel.gateway.replicas import Replica, ReplicaState, Report, Work
from easel.gateway.replicas.aws.auto_scaling_group import GroupInstance
from easel.gateway.replicas.aws.observed_state import Observed, observed
from easel.gateway.replicas.aws.timeouts import Patience

# finish: does its last work; go: is let go by a lower capacity; stop: is terminated by name.
Ending = Literal["finish", "go", "stop"]


class TrackedInstance:
    """One instance: its state with words, how it failed so far, and how it is to end."""

    def __init__(self, endpoint: str, member: GroupInstance, events: Events, patience: Patience) -> None:
        self.id = member.id
        self.member = member
        self.state: ReplicaState = "starting"
        self.since = time.time()
        self.detail = f"AWS launches {member.place}"
        self.address: str | None = None
        self.work: Work | None = None
        self.ending: Ending | None = None
        # Why its endpoint is given up once this instance is gone.
        self.verdict: str | None = None
        # Its group was told to replace it.
        self.replaced = False
        self.crashes = 0
        self.failed_at: float | None = None
        self.task: asyncio.Task[None] | None = None
        self.retry_at = 0.0
        self.let_go_at: float | None = None
        self.terminated_at: float | None = None
        self._endpoint = endpoint
        self._events = events
        self._patience = patience
        self._began = self._answered = time.monotonic()
        self._spoke = False
        self._ready_at: float | None = None
        self._told = False

    @property
    def steady(self) -> bool:
        """Whether it was ready for long enough to forget what failed before it."""
        return self._ready_at is not None and time.monotonic() - self._ready_at >= self._patience.steady

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits on it, as far as it says."""
        return self.work is None or self.work.demand == 0

    @property
    def interrupted(self) -> str:
        """What its host says of AWS's notice to take it back; "" without one. It gets no more work then, and
        another one may start while it finishes."""
        machine = self.member.machine
        return machine.why if machine is not None and machine.interrupted else ""

    def replica(self) -> Replica:
        """What it is to the fleet."""
        return Replica(
            self.id, self.state, self.since, self.detail, self.address, self.work, answered=self._answered
        )

    def follow(self, member: GroupInstance, report: Report | None, address: str | None, limit: float) -> None:
        """Take what AWS and its container say now. An instance that never answers fails after `limit`
        seconds."""
        self.member = member
        now = time.monotonic()
        if report is not None:
            self._answered, self._spoke, self.work = now, True, report.work
        self.address = address
        found = observed(member, report)
        if found is None:
            return
        if found.state == "draining" or self.ending is not None:
            if self.verdict is None and self.ending is None:
                self.say("draining", found.detail)
            return
        phase = member.machine.phase if member.machine else ""
        if report is None and self._spoke and phase in ("booting", "pulling", "loading", "failed"):
            # The host starts it again: it may be quiet for as long as at its first start.
            self._spoke, self._answered = False, now
        if report is None and found.state in ("starting", "loading"):
            found = self._silent(found, now - self._answered, limit)
        if found.state == "failed" and self.state != "failed":
            self.crashes += 1
            self.failed_at = now
        if found.state == "ready" and self._ready_at is None:
            self._ready_at = now
        elif found.state != "ready":
            self._ready_at = None
        if self.steady:
            self.crashes = 0
        text = f"ready after {now - self._began:.0f} s" if found.state == "ready" else None
        self.say(found.state, found.detail, text=text)

    def say(self, state: ReplicaState, detail: str, kind: str | None = None, text: str | None = None) -> None:
        """Be in `state`; a new state, or a new sentence while it is not ready, is an event."""
        changed = state != self.state
        if changed:
            self.state, self.since = state, time.time()
        told = detail != self.detail and state not in ("ready", "draining")
        if changed or told or not self._told:
            self._told = True
            self._events.add(self._endpoint, self.id, kind or state, text or detail)
        self.detail = detail

    def _silent(self, found: Observed, quiet: float, limit: float) -> Observed:
        """What no answer means: nothing yet while it starts; a hang of what spoke once."""
        if not self._spoke:
            if quiet > limit and self.member.lifecycle == "InService":
                return Observed("failed", f"its container has not answered for {quiet:.0f} s: read its log")
            return found
        if quiet > self._patience.silence:
            return Observed("failed", f"hangs: its container has not answered for {quiet:.0f} s")
        if self.state == "ready" and self.member.machine and self.member.machine.phase in ("ready", ""):
            # A busy container may miss a poll; its host would say if it ended.
            return Observed("ready", f"has not answered for {quiet:.0f} s" if quiet > 10 else self.detail)
        return found


@dataclass(frozen=True)
class Placeholder:
    """What stands for an instance that is not there and will not come by itself: it counts as one that is
    wanted, so that no second attempt begins beside it."""

    id: str
    at: float
    text: str
    budget: bool = False

    def replica(self) -> Replica:
        """What it is to the fleet."""
        return Replica(self.id, "failed", self.at, self.text, given_up=True)
