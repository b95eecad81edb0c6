"""What is to be done about a group: pure functions of what is seen, what is wanted and when.

tend(Situation(group, desired=1, instances=(ready,), budget="it is spent"))
# [NoteBudget("it is spent"), BeginEnding("i-1", "finish")]

In the words of Kubernetes a reconciliation: each look compares the group as it is with what it should be, and
gives the steps between. Nothing is asked, said or changed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from easel.gateway.replicas import ReplicaTimeouts
from easel.gateway.replicas.aws import actions as do
from easel.gateway.replicas.aws.actions import Action
from easel.gateway.replicas.aws.activities import Notice
from easel.gateway.replicas.aws.auto_scaling_group import AutoScalingGroup
from easel.gateway.replicas.aws.instance import Placeholder, TrackedInstance
from easel.gateway.replicas.aws.warm_pool import LEAVING, STOPPED, ImageRollout, renew
from easel.remark import remark

# What an instance that was asked for and is not there yet is called: this and a number.
NEXT = "next-"
_WARM = remark("starting_warm", "starting a warm instance")
_ASKING = remark("asking_aws", "asking AWS for an instance")


@dataclass(frozen=True)
class Situation:
    """A group at one moment; `now` and all times are on the monotonic clock."""

    group: AutoScalingGroup
    # The capacity that was asked for, which the group may not show yet.
    desired: int = 0
    now: float = 0.0
    timeouts: ReplicaTimeouts = field(default_factory=ReplicaTimeouts)
    instances: tuple[TrackedInstance, ...] = ()
    placeholders: tuple[Placeholder, ...] = ()
    # Why there is no group; "" where there is one.
    absent: str = ""
    # The endpoint is no more.
    removed: bool = False
    # Why nothing may run, and what was last said of it; "" while the budget has room.
    budget: str = ""
    budget_told: str = ""
    # Instances in a row that came to nothing, and why AWS starts none, if it said so.
    failures: int = 0
    shortage: str = ""
    # Let go, and on their way back to the warm pool.
    returning: frozenset[str] = frozenset()
    # How many instances are to be kept prepared, and how their image is.
    prepared: int = 0
    rollout: ImageRollout = field(default_factory=ImageRollout)
    # When on-demand was bought for want of spot; None: not, or not known.
    on_demand_since: float | None = None

    @property
    def missing(self) -> int:
        """How many instances were asked for that are not there yet."""
        return max(0, self.desired - len(self.group.active))

    @property
    def resting(self) -> bool:
        """Whether nobody draws, and nothing is asked for, given up or on its way."""
        still = all(
            one.state == "ready" and one.ending is None and one.idle and not one.interrupted
            for one in self.instances
        )
        return still and not (self.removed or self.budget or self.placeholders or self.missing)

    def find(self, replica: str) -> TrackedInstance | None:
        """The instance of this id."""
        return next((one for one in self.instances if one.id == replica), None)


def tend(at: Situation) -> list[Action]:
    """Keep at what is under way; replace what failed; end what has to go."""
    actions: list[Action] = []
    if at.budget != at.budget_told:
        actions.append(do.NoteBudget(at.budget))
    unpaid = frozenset(one.id for one in at.placeholders if one.kind == "budget")
    if unpaid and not at.budget:
        actions.append(do.DropPlaceholders(unpaid))
    actions += _each(at)
    if (at.budget or at.removed) and at.missing:
        actions.append(do.SetDesiredCapacity(len(at.group.active)))
    actions += _farewells(at)
    if at.resting:
        actions += renew(at.rollout, at.group, at.prepared, at.now, at.timeouts)
    return actions + _surplus(at, actions)


def _each(at: Situation) -> list[Action]:
    """What is to be done about every instance."""
    actions: list[Action] = []
    failures = at.failures
    for one in at.instances:
        found = _end(at, one) or _failed(at, one, failures)
        failures += any(isinstance(action, do.SetFailures) for action in found)
        actions += found or _continue(at, one)
        if failures and one.steady(at.now):
            failures = 0
            actions.append(do.SetFailures(0))
    return actions


def _end(at: Situation, one: TrackedInstance) -> list[Action]:
    if at.removed:
        return [] if one.ending == "stop" else [do.BeginEnding(one.id, "stop")]
    if one.ending is not None or not (at.budget or one.interrupted):
        return []
    said: list[Action] = [do.Say(one.id, "spot", one.interrupted)] if one.interrupted else []
    return [*said, _politely(one)]


def _politely(one: TrackedInstance) -> do.BeginEnding:
    return do.BeginEnding(one.id, "finish" if one.state == "ready" else "go")


def _failed(at: Situation, one: TrackedInstance, failures: int) -> list[Action]:
    """Its host mends what it can; what stays failed is replaced, and after some in a row given up."""
    if one.state != "failed" or one.ending is not None or one.replaced:
        return []
    for_good = one.failed_at is not None and at.now - one.failed_at > at.timeouts.repair
    if one.crashes < at.timeouts.crash_limit and not for_good:
        return []
    failures += 1
    detail = one.status.detail
    if failures < at.timeouts.backoff_limit:
        return [do.SetFailures(failures), do.Replace(one.id)]
    return [
        do.SetFailures(failures),
        do.GiveUp(one.id, _gave_up(failures, detail)),
    ]


def _gave_up(failures: int, why: str) -> str:
    words = "gave up after {n} instances; the last one: {why}"
    return remark("instances_given_up", words, n=failures, why=why)


def _continue(at: Situation, one: TrackedInstance) -> list[Action]:
    waits = one.ending is not None or one.replaced or one.instance.lifecycle == "Terminating:Wait"
    return [do.ContinueEnding(one.id)] if waits and not one.busy and at.now >= one.retry_at else []


def _farewells(at: Situation) -> list[Action]:
    """Instances of the warm pool that wait for our word on their way back or out."""
    return [
        do.CompleteTermination(one.id)
        for one in at.group.warm
        if one.lifecycle == LEAVING or (one.id in at.returning and one.lifecycle.endswith(":Wait"))
    ]


def staying(group: AutoScalingGroup, instances: Iterable[TrackedInstance]) -> frozenset[str]:
    """The ids of those that are not to go: neither let go nor ended. Who finishes something may stay."""
    going = {one.id for one in instances if one.ending in ("go", "stop")}
    return frozenset(one.id for one in group.active) - going


def _surplus(at: Situation, actions: list[Action]) -> list[Action]:
    """Called off a moment too late, an instance came all the same; protected, it would stay for ever."""
    ended = {one.instance for one in actions if isinstance(one, do.BeginEnding | do.GiveUp)}
    finishing = {
        one.instance for one in actions if isinstance(one, do.BeginEnding) and one.ending == "finish"
    }
    surplus = max(0, len(staying(at.group, at.instances) - (ended - finishing)) - at.desired)
    unready = [
        one for one in at.instances if one.ending is None and one.id not in ended and one.state != "ready"
    ]
    youngest = sorted(unready, key=lambda one: -one.status.since)[:surplus]
    return [do.BeginEnding(one.id, "stop") for one in youngest if one.instance.active]


def why_missing(at: Situation) -> str:
    """What those wait for who asked for an instance."""
    if "Launch" in at.group.suspended:
        words = "the group's launches are suspended: resume the process Launch of its Auto Scaling group"
        return remark("group_suspended", words)
    stopped = any(one.lifecycle == STOPPED for one in at.group.warm)
    return at.shortage or (_WARM if stopped else _ASKING)


# ── what somebody asks for ───────────────────────────────────────────────────────────────────────


def scale_up(at: Situation, count: int) -> list[Action]:
    """Have `count` that do not drain. What was given up counts: nothing begins beside it."""
    there = sum(1 for one in at.instances if one.state != "draining")
    lacking = count - there - len(at.placeholders) - at.missing
    if lacking <= 0:
        return []
    if at.budget or at.absent:
        return [do.AddPlaceholder(at.budget, "budget") if at.budget else do.AddPlaceholder(at.absent, "aws")]
    # One that still can, stays: a new one would be minutes away, and the group may have no room for it.
    kept = [one for one in at.instances if one.ending == "finish" and not one.interrupted][:lacking]
    actions: list[Action] = [do.Recall(one.id) for one in kept]
    wish = min(at.desired + lacking - len(kept), at.group.max)
    if wish <= at.desired:
        return actions
    if _spot_again(at):
        actions.append(do.SetOnDemandShare(0))
    return [*actions, do.NoteShortage(""), do.SetDesiredCapacity(wish)]


def _spot_again(at: Situation) -> bool:
    """No group falls back from spot by itself, nor to it again. Who does not know since when, asks now."""
    long_ago = at.on_demand_since is None or at.now - at.on_demand_since > at.timeouts.spot_retry
    return at.group.spot_first and at.group.share > 0 and long_ago


def drain(at: Situation, replica: str) -> list[Action]:
    """Let it finish, then go."""
    one = at.find(replica)
    if one is None or at.absent:
        return _call_off(at, replica)
    return [_politely(one)] if one.ending is None else []


def stop(at: Situation, replica: str) -> list[Action]:
    """End it now."""
    one = at.find(replica)
    if one is None:
        return _call_off(at, replica)
    return [do.BeginEnding(replica, "stop")] if one.ending != "stop" else []


def _call_off(at: Situation, replica: str) -> list[Action]:
    """Do without an instance that is not there: one given up, or one that is still being asked for."""
    if any(one.id == replica for one in at.placeholders):
        return [do.DropPlaceholders(frozenset({replica}))]
    if replica.startswith(NEXT) and at.missing:
        return [do.SetDesiredCapacity(max(at.desired - 1, len(at.group.active)))]
    return []


def revive(at: Situation) -> list[Action]:
    """Ask again for what was given up, but not past the budget."""
    dropped = frozenset(one.id for one in at.placeholders)
    if at.budget or not dropped:
        return []
    wish = min(at.desired + len(dropped), at.group.max)
    again: list[Action] = [] if at.absent else [do.NoteShortage(""), do.SetDesiredCapacity(wish)]
    return [do.DropPlaceholders(dropped), *again]


# ── what AWS says ────────────────────────────────────────────────────────────────────────────────


def hear(at: Situation, notice: Notice) -> list[Action]:
    """What a scaling activity has to say: why nothing starts, or why an instance ended."""
    if notice.kind == "health":
        one = at.find(notice.instance or "")
        asked = (one is not None and one.ending is not None) or notice.instance in at.rollout.replaced
        return [] if asked else [do.Say(notice.instance, notice.kind, notice.text)]
    # The group tries on, zone by zone: each sentence is told once per waking.
    actions: list[Action] = [do.Say(notice.instance, notice.kind, notice.text, once=True)]
    if at.absent:
        return actions
    actions.append(do.NoteShortage(notice.text))
    no_spot = notice.kind in ("spot", "spot-quota") and at.group.spot_first and at.group.share < 100
    if no_spot and at.missing:
        actions += [
            do.Say(None, "spot", remark("buying_on_demand", "buying on-demand until there is spot again")),
            do.SetOnDemandShare(100),
        ]
    failures = at.failures
    if notice.kind == "abandoned":
        failures += 1
        actions.append(do.SetFailures(failures))
    if (notice.hopeless and not no_spot) or failures >= at.timeouts.backoff_limit:
        actions += _hopeless(at, notice, failures)
    return actions


def _hopeless(at: Situation, notice: Notice, failures: int) -> list[Action]:
    """The group would ask AWS again for ever, and start when nobody waits any more."""
    if not at.missing:
        return []
    text = notice.text if notice.hopeless else _gave_up(failures, notice.text)
    given_up = do.AddPlaceholder(text, "gave-up")
    return [do.SetDesiredCapacity(len(at.group.active)), *[given_up] * at.missing]
