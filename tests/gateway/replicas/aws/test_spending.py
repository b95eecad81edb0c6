"""What awake instances cost, kept in the bucket from month to month."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from easel.gateway.replicas import Spending
from tests.gateway.replicas.aws.conftest import TeamBucket

NOV = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


def test_awake_seconds_times_price(place: TeamBucket) -> None:
    """Each instance counts from its start, once; a restart of the gateway goes on where it was."""
    spent = Spending(place.bucket, place.said.append)
    spent.count("studio", 3.6, [NOV - 100, NOV - 50], NOV)
    assert spent.dollars(NOV) == pytest.approx(0.15)
    spent.count("studio", 3.6, [NOV - 100, NOV - 50], NOV + 10)
    assert spent.dollars(NOV) == pytest.approx(0.17)
    spent.save()
    again = Spending(place.bucket, place.said.append)
    again.load(NOV + 30)
    # Down for 20 s: what was awake meanwhile is counted; what started since, from its start.
    again.count("studio", 3.6, [NOV - 100, NOV + 25], NOV + 30)
    assert again.dollars(NOV) == pytest.approx(0.17 + 0.020 + 0.005)
    again.save()
    row = json.loads(place.read("run/spent/2026-11.json"))["endpoints"]["studio"]
    assert row["seconds"] == pytest.approx(195)
    assert place.said == []


def test_the_fuse(place: TeamBucket) -> None:
    """At the budget it blows, saying so; more budget or another month mends it."""
    spent = Spending(place.bucket, place.said.append)
    spent.count("studio", 3600, [NOV - 10], NOV)
    assert spent.over(11, NOV) is None
    reason = spent.over(10, NOV)
    assert reason
    for word in ("November", "$10.00 of $10", "1 December", "budget.monthly"):
        assert word in reason
    assert spent.over(10, datetime(2026, 12, 1, tzinfo=UTC).timestamp()) is None


def test_a_night_over_the_end_of_a_month(place: TeamBucket) -> None:
    """Each month has its own part, of the old year too."""
    spent = Spending(place.bucket, place.said.append)
    midnight = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    spent.count("studio", 3600, [], midnight - 60)
    spent.count("studio", 3600, [midnight - 60], midnight + 30)
    assert spent.dollars(midnight - 1) == pytest.approx(60)
    assert spent.dollars(midnight + 30) == pytest.approx(30)


def test_two_that_count_do_not_count_twice(place: TeamBucket) -> None:
    """An old and a new gateway overlap for a minute: the higher sum stays."""
    one, two = Spending(place.bucket, place.said.append), Spending(place.bucket, place.said.append)
    for spent in (one, two):
        spent.load(NOV)
        spent.count("studio", 3600, [NOV - 10], NOV)
        spent.save()
    assert json.loads(place.read("run/spent/2026-11.json"))["dollars"] == pytest.approx(10)


def test_a_ledger_that_cannot_be_kept_is_told(place: TeamBucket) -> None:
    """The fuse still counts; that a restart would forget is said once."""
    spent = Spending(place.bucket, place.said.append)
    spent.count("studio", 3600, [NOV - 10], NOV)
    place.faults["put_object"] = ("AccessDenied", "denied")
    spent.save()
    spent.save()
    assert len(place.said) == 1
    assert "s3:PutObject" in place.said[0]
    assert spent.dollars(NOV) == pytest.approx(10)
    place.faults.clear()
    spent.save()
    assert json.loads(place.read("run/spent/2026-11.json"))["dollars"] == pytest.approx(10)
