"""When a job begins and is there: told from measured seconds and fair shares."""

from __future__ import annotations

import random
import statistics

import pytest

from easel.studio.engine import PersonsWork, ahead_of, time_for


def served(mine: list[float], others: list[float], step: float) -> list[float]:
    """A device that gives each person with work a step in turn: when each of my jobs is done."""
    now, ends, left, rest = 0.0, [], list(mine), list(others)
    while left:
        left[0] -= step
        now += step
        if left[0] <= 0:
            left.pop(0)
            ends.append(now)
        for number, work in enumerate(rest):
            if work > 0:
                rest[number] -= step
                now += step
    return ends


@pytest.mark.parametrize("seed", range(5))
def test_against_a_simulated_queue(seed: int) -> None:
    """Random people with random work: the median error of what is told is a few per cent, and never as much
    as a quarter, once a job is longer than a few steps."""
    chance, errors = random.Random(seed), []
    for _ in range(40):
        mine = [chance.uniform(2, 60) for _ in range(chance.randint(1, 6))]
        others = [chance.uniform(0.5, 200) for _ in range(chance.randint(0, 8))]
        ends = served(mine, others, step=0.1)
        own = 0.0
        for job, end in zip(mine, ends, strict=True):
            own += job
            told = time_for(own, [PersonsWork(one, 1) for one in others])
            errors.append(abs(told - end) / end)
    print(f"median error {statistics.median(errors):.1%}, largest {max(errors):.1%}")
    assert statistics.median(errors) < 0.05
    assert max(errors) < 0.25


def test_what_is_ahead() -> None:
    """Whoever has nothing before it begins next; else the others have their share by then."""
    crowd = [PersonsWork(10, 4), PersonsWork(100, 40)]
    assert (ahead_of(PersonsWork(0, 0), crowd).pictures, ahead_of(PersonsWork(0, 0), crowd).people) == (0, 0)
    ahead = ahead_of(PersonsWork(20, 2), crowd)
    assert (ahead.pictures, ahead.people) == (2 + 4 + 8, 2)
    assert ahead_of(PersonsWork(5, 1), []).pictures == 1
