"""What is done about a group at every look: situations and the steps that follow, one row each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from easel.gateway.replicas import Work
from easel.gateway.replicas.aws import actions as do
from easel.gateway.replicas.aws import decision
from easel.gateway.replicas.aws.decision import Situation
from tests.gateway.replicas.aws.situations import (
    NEW,
    NOTICE,
    NOW,
    ROLLOUT,
    SPENT,
    TWO,
    at,
    failed,
    given_up,
    one,
    warm,
)

VERDICT = "gave up after 3 instances; the last one: no such digest"
TEND: dict[str, tuple[Situation, list[do.Action]]] = {
    "nothing is there": (at(), []),
    "all is well": (at(one("i-1"), one("i-2", "loading")), []),
    # ── budget ──
    "the budget is spent: who draws finishes, others go": (
        at(one("i-1"), one("i-2", "loading"), budget=SPENT),
        [do.NoteBudget(SPENT), do.BeginEnding("i-1", "finish"), do.BeginEnding("i-2", "go")],
    ),
    "spent, told, and under way": (
        at(one("i-1", "draining", ending="finish", retry_at=NOW + 1), budget=SPENT, budget_told=SPENT), [],
    ),
    "spent while an instance is asked for": (
        at(desired=2, budget=SPENT, budget_told=SPENT), [do.SetDesiredCapacity(0)],
    ),
    "the budget has room again": (
        at(budget_told=SPENT, placeholders=(given_up("none-1", "budget"), given_up("none-2"))),
        [do.NoteBudget(""), do.DropPlaceholders(frozenset({"none-1"}))],
    ),
    "room again before it was told of": (
        at(placeholders=(given_up("none-1", "budget"),)), [do.DropPlaceholders(frozenset({"none-1"}))],
    ),
    # ── an endpoint that is gone ──
    "its endpoint is gone": (
        at(one("i-1"), one("i-2", "draining", ending="finish"), desired=3, removed=True),
        [do.BeginEnding("i-1", "stop"), do.BeginEnding("i-2", "stop"), do.SetDesiredCapacity(2)],
    ),
    "gone and under way": (
        at(one("i-1", "draining", ending="stop", retry_at=NOW + 1), removed=True), [],
    ),
    # ── spot ──
    "AWS takes a spot instance back": (
        at(one("i-1", why=NOTICE), one("i-2")),
        [do.Say("i-1", "spot", NOTICE), do.BeginEnding("i-1", "finish")],
    ),
    "taken back before it was ready": (
        at(one("i-1", "loading", why=NOTICE)), [do.Say("i-1", "spot", NOTICE), do.BeginEnding("i-1", "go")],
    ),
    "taken back, and it is known": (
        at(one("i-1", "draining", why=NOTICE, ending="finish", retry_at=NOW + 1)), [],
    ),
    # ── failures ──
    "its host may still mend it": (at(failed("i-1", crashes=3, failed_at=NOW - 1)), []),
    "it crashed too often": (at(failed("i-1")), [do.SetFailures(1), do.Replace("i-1")]),
    "it has not been failed for long": (at(failed("i-1", crashes=1, failed_at=NOW - 180)), []),
    "it stays failed": (
        at(failed("i-1", crashes=1, failed_at=NOW - 181)), [do.SetFailures(1), do.Replace("i-1")],
    ),
    "it is being replaced": (at(failed("i-1", replaced=True, retry_at=NOW + 1)), []),
    "AWS has not replaced it yet": (
        at(failed("i-1", replaced=True, retry_at=NOW)), [do.ContinueEnding("i-1")],
    ),
    "the third in a row is given up": (
        at(failed("i-1"), failures=2), [do.SetFailures(3), do.GiveUp("i-1", VERDICT)],
    ),
    "two at once count as two": (
        at(failed("i-1"), failed("i-2"), failures=1),
        [do.SetFailures(2), do.Replace("i-1"), do.SetFailures(3), do.GiveUp("i-2", VERDICT)],
    ),
    "a steady one makes failures forgotten": (
        at(one("i-1", ready_at=NOW - 300), failures=2), [do.SetFailures(0)],
    ),
    "steady between two failures": (
        at(one("i-1", ready_at=NOW - 300), failed("i-2"), failures=2),
        [do.SetFailures(0), do.SetFailures(1), do.Replace("i-2")],
    ),
    "ready for too short": (at(one("i-1", ready_at=NOW - 299), failures=2), []),
    "a failed one that drains is not replaced": (
        at(failed("i-1", ending="go", retry_at=NOW + 1)), [],
    ),
    # ── endings ──
    "AWS was throttled a moment ago": (at(one("i-1", "draining", ending="go", retry_at=NOW + 0.1)), []),
    "throttled, and it is time to ask again": (
        at(one("i-1", "draining", ending="go", retry_at=NOW)), [do.ContinueEnding("i-1")],
    ),
    "AWS ends it and waits for our word": (
        at(one("i-1", "draining", "Terminating:Wait")), [do.ContinueEnding("i-1")],
    ),
    "AWS ends it without asking": (at(one("i-1", "draining", "Terminating:Proceed")), []),
    "a steady one that drains goes on draining": (
        at(one("i-1", "draining", ending="finish", ready_at=NOW - 400), failures=1),
        [do.ContinueEnding("i-1"), do.SetFailures(0)],
    ),
    # ── two gateways, and calls that came too late ──
    "another gateway drains one": (at(one("i-1", "draining", "Terminating"), one("i-2")), []),
    "another gateway lowered the capacity: what is ready stays": (at(one("i-1"), one("i-2"), desired=1), []),
    "another gateway started one": (at(one("i-1"), one("i-2", "starting", "Pending"), desired=2), []),
    "called off too late: the youngest that is not ready goes": (
        at(
            one("i-1", "loading", since=1.0), one("i-2", "starting", "Pending", since=2.0), one("i-3"),
            desired=2,
        ),
        [do.BeginEnding("i-2", "stop")],
    ),
    "let go already: it is no surplus": (
        at(one("i-1", "draining", ending="go", retry_at=NOW + 1), one("i-2", "loading"), desired=1), [],
    ),
    "ended by name already: it is no surplus": (
        at(one("i-1", "draining", ending="stop", retry_at=NOW + 1), one("i-2", "loading"), desired=1), [],
    ),
    "begins to finish in the same look: it may stay": (
        at(one("i-1", why=NOTICE), one("i-2", "loading"), desired=1),
        [do.Say("i-1", "spot", NOTICE), do.BeginEnding("i-1", "finish"), do.BeginEnding("i-2", "stop")],
    ),
    "let go in the same look: it is no surplus": (
        at(one("i-1", "loading", why=NOTICE), one("i-2", "loading"), desired=1),
        [do.Say("i-1", "spot", NOTICE), do.BeginEnding("i-1", "go")],
    ),
    "one that finishes may stay: with it there is a surplus": (
        at(one("i-1", "draining", ending="finish", retry_at=NOW + 1), one("i-2", "loading"), desired=1),
        [do.BeginEnding("i-2", "stop")],
    ),
    # ── the warm pool ──
    "one on its way back to the pool waits for our word": (
        at(pool=(warm("i-9", "Warmed:Pending:Wait"),), returning=frozenset({"i-9"})),
        [do.CompleteTermination("i-9")],
    ),
    "one that is being prepared is its host's": (at(pool=(warm("i-9", "Warmed:Pending:Wait"),)), []),
    "one on its way out of the pool": (
        at(pool=(warm("i-9", "Warmed:Terminating:Wait"),)), [do.CompleteTermination("i-9")],
    ),
    "an old image, and it is quiet": (
        at(pool=TWO, prepared=2, rollout=ROLLOUT), [do.ReplacePrepared("i-8")],
    ),
    "none are to be prepared any more": (at(pool=TWO, prepared=0, rollout=ROLLOUT), []),
    "it is not quiet yet": (at(pool=TWO, prepared=2, rollout=replace(ROLLOUT, quiet_since=None)), []),
    "AWS had its time for the last one": (
        at(pool=TWO, prepared=2, rollout=replace(ROLLOUT, tries=1, asked_at=NOW - 90)),
        [do.ReplacePrepared("i-8")],
    ),
    "quiet for too short": (
        at(pool=TWO, prepared=2, rollout=replace(ROLLOUT, quiet_since=NOW - 299)), [],
    ),
    "somebody draws": (
        at(one("i-1", work=Work(running=1)), pool=TWO, prepared=2, rollout=ROLLOUT), [],
    ),
    "somebody waits": (at(pool=TWO, prepared=2, rollout=ROLLOUT, desired=1), []),
    "one was given up": (at(pool=TWO, prepared=2, rollout=ROLLOUT, placeholders=(given_up(),)), []),
    "one is away": (
        at(pool=(warm("i-8"), warm("i-9", "Warmed:Pending")), prepared=2, rollout=ROLLOUT), [],
    ),
    "AWS still thinks of the last one": (at(pool=(warm("i-8"),), prepared=2, rollout=ROLLOUT), []),
    "it was asked a moment ago": (
        at(pool=TWO, prepared=2, rollout=replace(ROLLOUT, tries=1, asked_at=NOW - 1)), [],
    ),
    "who serves counts as prepared": (
        at(one("i-1"), pool=(warm("i-8"),), prepared=2, rollout=ROLLOUT), [do.ReplacePrepared("i-8")],
    ),
    "no money": (
        at(pool=TWO, prepared=2, rollout=ROLLOUT, budget=SPENT, budget_told=SPENT), [],
    ),
    "an image that never comes is told of": (
        at(pool=(warm("i-9"),), prepared=1, rollout=replace(ROLLOUT, tries=2)),
        [do.NoteRollout(
            "1 prepared instances still do not hold the configured image after 2 were replaced: read the log "
            "of the last one. Waking them pulls the image first"
        )],
    ),
    "all hold it": (
        at(pool=(warm("i-9", image=NEW),), prepared=1, rollout=replace(ROLLOUT, tries=1)),
        [do.NoteRollout("every prepared instance holds the image that is configured")],
    ),
    "all hold it, and it was told": (
        at(pool=(warm("i-9", image=NEW),), prepared=1, rollout=replace(
            ROLLOUT, tries=1, told="every prepared instance holds the image that is configured"
        )), [],
    ),
    "all held it from the beginning": (at(pool=(warm("i-9", image=NEW),), prepared=1, rollout=ROLLOUT), []),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "steps"), TEND.values(), ids=TEND)
def test_tend(seen: Situation, steps: list[do.Action]) -> None:
    """What is done at every look, without anybody's asking."""
    assert decision.tend(seen) == steps
