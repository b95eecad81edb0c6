"""What follows when somebody asks for something, or AWS says something: one row each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from easel.gateway.replicas.aws import actions as do
from easel.gateway.replicas.aws import decision
from easel.gateway.replicas.aws.activities import Notice
from easel.gateway.replicas.aws.auto_scaling_group import AutoScalingGroup
from easel.gateway.replicas.aws.decision import Situation
from easel.gateway.replicas.aws.instance import TrackedInstance
from easel.gateway.replicas.aws.termination import next_step
from easel.gateway.replicas.aws.warm_pool import ImageRollout, renew
from tests.gateway.replicas.aws.situations import (
    NEW,
    NOTICE,
    NOW,
    ROLLOUT,
    SPENT,
    TIMES,
    TWO,
    at,
    failed,
    given_up,
    one,
    warm,
)

AGAIN = [do.NoteShortage(""), do.SetDesiredCapacity(1)]
SCALE_UP: dict[str, tuple[Situation, int, list[do.Action]]] = {
    "from nothing": (at(), 1, AGAIN),
    "enough are there": (at(one("i-1")), 1, []),
    "it never lowers": (at(one("i-1"), one("i-2")), 1, []),
    "one is on its way": (at(desired=1), 1, []),
    "one more than asked for so far": (at(desired=1), 2, [do.NoteShortage(""), do.SetDesiredCapacity(2)]),
    "not past the group's limit": (at(most=1), 3, AGAIN),
    "the group is full": (at(one("i-1"), one("i-2"), most=2), 3, []),
    "what was given up counts": (at(placeholders=(given_up(),)), 1, []),
    "a failed one counts": (at(failed("i-1")), 1, []),
    "the budget is spent": (at(budget=SPENT), 2, [do.AddPlaceholder(SPENT, "budget")]),
    "enough are there, and the budget is spent": (at(one("i-1"), budget=SPENT), 1, []),
    "there is no group": (at(absent="there is no group"), 1, [do.AddPlaceholder("there is no group", "aws")]),
    "one that drains is taken back": (at(one("i-1", "draining", ending="finish")), 1, [do.Recall("i-1")]),
    "and what is lacking beside it starts": (
        at(one("i-1", "draining", ending="finish")), 2,
        [do.Recall("i-1"), do.NoteShortage(""), do.SetDesiredCapacity(2)],
    ),
    "no more are taken back than needed": (
        at(one("i-1", "draining", ending="finish"), one("i-2", "draining", ending="finish")), 1,
        [do.Recall("i-1")],
    ),
    "let go already: it is too late": (
        at(one("i-1", "draining", ending="go"), desired=0), 1, AGAIN,
    ),
    "AWS takes it back: another starts beside it": (
        at(one("i-1", "draining", why=NOTICE, ending="finish"), desired=1), 1,
        [do.NoteShortage(""), do.SetDesiredCapacity(2)],
    ),
    "spot again, long after on-demand was bought": (
        at(spot=100, on_demand_since=NOW - 1801), 1, [do.SetOnDemandShare(0), *AGAIN],
    ),
    "spot again: nobody knows since when": (at(spot=100), 1, [do.SetOnDemandShare(0), *AGAIN]),
    "on-demand was bought not long ago": (at(spot=100, on_demand_since=NOW - 1800), 1, AGAIN),
    "there was spot all the time": (at(spot=0), 1, AGAIN),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "count", "steps"), SCALE_UP.values(), ids=SCALE_UP)
def test_scale_up(seen: Situation, count: int, steps: list[do.Action]) -> None:
    """How as many are had as are asked for."""
    assert decision.scale_up(seen, count) == steps


DRAINING = one("i-1", "draining", ending="finish")
ASKED: dict[str, tuple[list[do.Action], list[do.Action]]] = {
    "drain: a ready one finishes": (decision.drain(at(one("i-1")), "i-1"), [do.BeginEnding("i-1", "finish")]),
    "drain: another one goes": (decision.drain(at(failed("i-1")), "i-1"), [do.BeginEnding("i-1", "go")]),
    "drain: it does already": (decision.drain(at(DRAINING), "i-1"), []),
    "drain: its group is not there": (decision.drain(at(one("i-1"), absent="gone"), "i-1"), []),
    "drain: one given up": (
        decision.drain(at(placeholders=(given_up(),)), "none-1"),
        [do.DropPlaceholders(frozenset({"none-1"}))],
    ),
    "drain: one that is asked for": (
        decision.drain(at(one("i-1"), desired=3), "next-2"), [do.SetDesiredCapacity(2)],
    ),
    "drain: it came meanwhile": (decision.drain(at(one("i-1")), "next-1"), []),
    "drain: a stranger": (decision.drain(at(one("i-1")), "99"), []),
    "stop: one that draws": (decision.stop(at(one("i-1")), "i-1"), [do.BeginEnding("i-1", "stop")]),
    "stop: one that drains": (decision.stop(at(DRAINING), "i-1"), [do.BeginEnding("i-1", "stop")]),
    "stop: it does already": (decision.stop(at(one("i-1", "draining", ending="stop")), "i-1"), []),
    "stop: one that is asked for": (decision.stop(at(desired=1), "next-1"), [do.SetDesiredCapacity(0)]),
    "revive: nothing was given up": (decision.revive(at(one("i-1"))), []),
    "revive: one was": (
        decision.revive(at(placeholders=(given_up(),))), [do.DropPlaceholders(frozenset({"none-1"})), *AGAIN],
    ),
    "revive: not past the group's limit": (
        decision.revive(at(one("i-1"), most=1, placeholders=(given_up(),))),
        [do.DropPlaceholders(frozenset({"none-1"})), *AGAIN],
    ),
    "revive: not past the budget": (
        decision.revive(at(budget=SPENT, placeholders=(given_up("none-1", "budget"),))), [],
    ),
    "revive: nothing else either, once it is spent": (
        decision.revive(at(budget=SPENT, placeholders=(given_up(),))), [],
    ),
    "revive: there is no group": (
        decision.revive(at(absent="gone", placeholders=(given_up("none-1", "aws"),))),
        [do.DropPlaceholders(frozenset({"none-1"}))],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "expected"), ASKED.values(), ids=ASKED)
def test_drain_stop_revive(steps: list[do.Action], expected: list[do.Action]) -> None:
    """What follows on a word about one replica, or on another try."""
    assert steps == expected


def says(kind: str, instance: str | None = None) -> Notice:
    return Notice("a", 0.0, kind, "AWS's words", instance)  # type: ignore[arg-type]


TOLD = [do.Say(None, "quota", "AWS's words", once=True), do.NoteShortage("AWS's words")]
BUYS = [do.Say(None, "spot", "buying on-demand until there is spot again"), do.SetOnDemandShare(100)]


def told(kind: str) -> list[do.Action]:
    return [do.Say(None, kind, "AWS's words", once=True), do.NoteShortage("AWS's words")]


HEAR: dict[str, tuple[Situation, Notice, list[do.Action]]] = {
    "no capacity: the group tries on": (at(desired=1), says("capacity"), told("capacity")),
    "a quota that is used up for now": (at(desired=1), says("full"), told("full")),
    "a quota of nothing is given up": (
        at(one("i-1"), desired=3), says("quota"),
        [*TOLD, do.SetDesiredCapacity(1), *[do.AddPlaceholder("AWS's words", "gave-up")] * 2],
    ),
    "hopeless, but nobody waits": (at(one("i-1")), says("quota"), TOLD),
    "no spot: on-demand": (at(desired=1, spot=0), says("spot"), [*told("spot"), *BUYS]),
    "no spot for a part: all on-demand": (at(desired=1, spot=50), says("spot"), [*told("spot"), *BUYS]),
    "no spot quota: on-demand, and not given up": (
        at(desired=1, spot=0), says("spot-quota"), [*told("spot-quota"), *BUYS],
    ),
    "no spot, and on-demand is bought already": (at(desired=1, spot=100), says("spot"), told("spot")),
    "no spot in a group that buys nothing else": (at(desired=1), says("spot"), told("spot")),
    "no spot quota in a group that buys nothing else": (
        at(desired=1), says("spot-quota"),
        [*told("spot-quota"), do.SetDesiredCapacity(0), do.AddPlaceholder("AWS's words", "gave-up")],
    ),
    "no spot, and nobody waits": (at(spot=0), says("spot"), told("spot")),
    "an instance that did not become ready in time": (
        at(desired=1), says("abandoned"), [*told("abandoned"), do.SetFailures(1)],
    ),
    "the third of those is given up": (
        at(desired=1, failures=2), says("abandoned"),
        [*told("abandoned"), do.SetFailures(3), do.SetDesiredCapacity(0),
         do.AddPlaceholder("gave up after 3 instances; the last one: AWS's words", "gave-up")],
    ),
    "the group is gone": (at(absent="gone"), says("quota"), TOLD[:1]),
    "one ended that we did not end": (
        at(one("i-1")), says("health", "i-1"), [do.Say("i-1", "health", "AWS's words")],
    ),
    "one ended that we ended": (at(DRAINING), says("health", "i-1"), []),
    "a prepared one ended for its image": (
        at(rollout=replace(ROLLOUT, replaced=frozenset({"i-9"}))), says("health", "i-9"), [],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "notice", "steps"), HEAR.values(), ids=HEAR)
def test_hear(seen: Situation, notice: Notice, steps: list[do.Action]) -> None:
    """What follows on a sentence of AWS's."""
    assert decision.hear(seen, notice) == steps


@pytest.mark.parametrize(
    ("instance", "step"),
    [
        (one("i-1"), None),
        (one("i-1", ending="finish"), "finish"),
        (one("i-1", ending="go"), "let go"),
        (one("i-1", ending="go", let_go_at=NOW - 1), None),
        (one("i-1", ending="go", let_go_at=NOW - 90), None),
        # AWS did not heed the lower capacity, or it would not reach this one.
        (one("i-1", ending="go", let_go_at=NOW - 91), "terminate"),
        (one("i-1", lifecycle="Pending:Wait", ending="go"), "terminate"),
        (one("i-1", ending="stop"), "terminate"),
        (one("i-1", ending="stop", terminated_at=NOW - 1), None),
        (one("i-1", ending="stop", terminated_at=NOW - 90), "terminate"),
        (one("i-1", "failed", replaced=True), "replace"),
        (one("i-1", "failed", replaced=True, ending="stop"), "terminate"),
        (one("i-1", lifecycle="Terminating:Wait"), "farewell"),
        (one("i-1", lifecycle="Terminating:Wait", ending="finish"), "farewell"),
        # AWS began to end it while it finished: terminating it again could cost another one its place.
        (one("i-1", lifecycle="Terminating:Wait", ending="go"), "farewell"),
    ],
)
def test_next_step_of_an_ending(instance: TrackedInstance, step: str | None) -> None:
    """What is asked of AWS next for an instance that goes."""
    assert next_step(instance, NOW) == step


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (at(desired=1), "asking AWS for an instance"),
        (at(desired=1, pool=TWO), "starting a warm instance"),
        (at(desired=1, pool=TWO, shortage="no capacity"), "no capacity"),
        (
            replace(at(), group=AutoScalingGroup("g", 1, 1, suspended=("Launch",))),
            "resume the process Launch",
        ),
    ],
)
def test_why_missing(seen: Situation, words: str) -> None:
    """Who waits for an instance reads what for."""
    assert words in decision.why_missing(seen)


def test_a_rollout_begins_anew_with_an_image_and_rests_only_in_quiet() -> None:
    """Tries belong to an image, and the wait to an unbroken rest; letters are those that a tag may have."""
    rollout = ImageRollout().follow("a@b,c", NOW, resting=True)
    assert (rollout.image, rollout.quiet_since) == ("a@b c", NOW)
    asked = rollout.asked("i-9", NOW + 1)
    assert asked.follow("a@b,c", NOW + 2, resting=True) == asked
    assert asked.follow("a@b,c", NOW + 2, resting=False).quiet_since is None
    other = replace(asked, told="x").follow(NEW, NOW + 3, resting=True)
    assert (other.tries, other.told, other.quiet_since) == (0, "", NOW + 3)
    assert other.replaced == {"i-9"}
    assert ImageRollout().follow("", NOW, resting=True).quiet_since is None


def test_a_prepared_instance_is_named_once() -> None:
    """AWS may take longer to end it than the gateway waits for its own word to show: then nobody is named,
    and the next one's turn comes when it is gone."""
    group = at(pool=(warm("i-1"), warm("i-2"))).group
    rested = ImageRollout().follow(NEW, NOW, resting=True)
    later = NOW + TIMES.pool_rest
    (first,) = renew(rested, group, 2, later, TIMES)
    assert first == do.ReplacePrepared("i-1")
    asked = rested.asked("i-1", later)
    slow = at(pool=(warm("i-1"), warm("i-2", image=NEW))).group
    assert renew(asked, slow, 2, later + 10 * TIMES.scale_in_lag, TIMES) == []
    gone = at(pool=(warm("i-3"), warm("i-2"))).group
    assert renew(asked, gone, 2, later + TIMES.scale_in_lag, TIMES) == [do.ReplacePrepared("i-3")]
