"""What the gateway remembers of one instance from look to look, and what stands for one that never came."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Literal

from easel.gateway import replica_words
from easel.gateway.replicas import Replica, ReplicaState, ReplicaStatus, ReplicaTimeouts, Report, Work
from easel.gateway.replicas.aws.auto_scaling_group import GroupInstance
from easel.gateway.replicas.aws.host_words import host_words
from easel.gateway.replicas.aws.observed_state import Observed, observed
from easel.remark import figure, remark

# finish: does its last work; go: is let go by a lower capacity; stop: is terminated by name.
Ending = Literal["finish", "go", "stop"]


@dataclass
class TrackedInstance:
    """One instance: its state with words, how it failed so far, and how it is to end.

    Times are on the monotonic clock.
    """

    instance: GroupInstance
    status: ReplicaStatus
    timeouts: ReplicaTimeouts
    address: str | None = None
    work: Work | None = None
    ending: Ending | None = None
    # Why its endpoint is given up once this instance is gone; it ends by `stop` then.
    verdict: str | None = None
    # Its group was told to replace it.
    replaced: bool = False
    crashes: int = 0
    failed_at: float | None = None
    ready_at: float | None = None
    # What is under way to end it, and when it may be tried next.
    task: asyncio.Task[None] | None = None
    retry_at: float = 0.0
    let_go_at: float | None = None
    terminated_at: float | None = None
    began: float = field(default_factory=time.monotonic)
    answered: float = field(default_factory=time.monotonic)
    # Whether its container has answered since its host started it last.
    spoke: bool = False

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.instance.id

    @property
    def state(self) -> ReplicaState:
        """As the fleet sees it."""
        return self.status.state

    @property
    def busy(self) -> bool:
        """Whether something is under way to end it."""
        return self.task is not None and not self.task.done()

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits on it, as far as it says."""
        return self.work is None or self.work.demand == 0

    @property
    def interrupted(self) -> str:
        """What its host says of AWS's notice to take it back; "" without one. It gets no more work then, and
        another one may start while it finishes."""
        ec2 = self.instance.ec2
        return host_words(ec2.why) if ec2 is not None and ec2.interrupted else ""

    def steady(self, now: float) -> bool:
        """Whether it was ready for long enough to forget what failed before."""
        return self.ready_at is not None and now - self.ready_at >= self.timeouts.min_ready

    def replica(self) -> Replica:
        """What it is to the fleet."""
        status = self.status
        return Replica(
            self.id, status.state, status.since, status.detail, self.address, self.work,
            answered=self.answered,
        )  # fmt: skip

    def replace(self) -> None:
        """Have its group put another one in its place."""
        self.replaced = True
        text = remark("instance_replaced", "{why}; another instance takes its place", why=self.status.detail)
        self.status.say("failed", text, "replaced")

    def give_up(self, verdict: str) -> None:
        """End it, and remember why nothing takes its place."""
        self.replaced, self.ending, self.verdict = True, "stop", verdict
        self.status.say("failed", verdict, "gave-up")

    def follow(
        self, instance: GroupInstance, report: Report | None, address: str | None, limit: float
    ) -> None:
        """Take what AWS and its container say now. One that never answers fails after `limit` seconds."""
        now = time.monotonic()
        self.instance, self.address = instance, address
        if report is not None:
            self.answered, self.spoke, self.work = now, True, report.work
        found = observed(instance, report)
        if found is None:
            return
        if found.state == "draining" or self.ending is not None:
            if self.ending is None:
                self.status.say("draining", found.detail)
            return
        if report is None:
            found = self._unanswered(found, now, limit)
        self._count(found.state, now)
        text = replica_words.ready_after(now - self.began) if found.state == "ready" else None
        self.status.say(found.state, found.detail, text=text)

    def _count(self, state: ReplicaState, now: float) -> None:
        if state == "failed" and self.state != "failed":
            self.crashes += 1
            self.failed_at = now
        if state != "ready":
            self.ready_at = None
        elif self.ready_at is None:
            self.ready_at = now
        if self.steady(now):
            self.crashes = 0

    def _unanswered(self, found: Observed, now: float, limit: float) -> Observed:
        """What no answer means: nothing yet while it starts; a hang of what spoke once."""
        phase = self.instance.ec2.phase if self.instance.ec2 else None
        if self.spoke and phase in ("booting", "pulling", "loading", "failed"):
            # The host starts it again: it may be quiet for as long as at its first start.
            self.spoke, self.answered = False, now
        quiet = now - self.answered
        if found.state not in ("starting", "loading"):
            return found
        if not self.spoke:
            if quiet > limit and self.instance.lifecycle == "InService":
                words = "its container has not answered for {n} s: read its log"
                return Observed("failed", remark("container_silent", words, n=figure(quiet, ".0f")))
            return found
        if quiet > self.timeouts.unresponsive:
            return Observed("failed", replica_words.hangs(quiet))
        if self.state == "ready" and phase in ("ready", ""):
            # A busy container may miss a poll; its host would say if it ended.
            return Observed("ready", replica_words.silent(quiet, self.status.detail))
        return found


@dataclass(frozen=True)
class Placeholder:
    """What stands for an instance that is not there and will not come by itself: it counts as one that is
    wanted, so that no second attempt begins beside it. `at` is in Unix seconds, `kind` its event's."""

    id: str
    at: float
    text: str
    kind: str

    def replica(self) -> Replica:
        """What it is to the fleet."""
        return Replica(self.id, "failed", self.at, self.text, given_up=True)
