"""When a job begins and is there: told from measured seconds and fair shares."""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

import pytest

from easel.studio.api.jobs.waiting_times import PersonsWork, ahead_of, time_for


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


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_against_the_real_engine(running) -> None:
    """Three people with requests of mixed sizes: after three steps, what is told of the time left of what is
    being drawn is wrong by at most a quarter, in the median; and so is what was told while it waited. Of a
    machine that nobody else loads: what others take from it meanwhile, nobody can tell."""
    chance, told = random.Random(4), []
    people = [running.ask(f"waiting {number}") for number in range(3)]
    asked = {"prompt": "a red circle", "do_not_save_grid": True}
    tickets: dict[str, Any] = {}
    for client in people:
        for _ in range(3):
            side, steps = chance.choice((64, 128, 192, 256)), chance.choice((20, 40, 60))
            body = {
                **asked,
                "width": side,
                "height": side,
                "steps": steps,
                "n_iter": chance.choice((1, 2, 4)),
            }
            answer = client.post("/sdapi/v1/txt2img", json=body, headers={"Prefer": "respond-async"}).json()
            tickets[answer["id"]] = client
    ends: dict[str, float] = {}
    while len(ends) < len(tickets):
        for client in people:
            for one in client.get("/jobs").json()["jobs"]:
                now = time.monotonic()
                if one["id"] not in tickets or one["id"] in ends:
                    continue
                if one["state"] == "done":
                    ends[one["id"]] = now
                elif one["eta"] is not None and (one["state"] == "queued" or one["step"] >= 3):
                    told.append((one["id"], one["state"], now, one["eta"]))
        time.sleep(0.2)
    errors: dict[str, list[float]] = {"queued": [], "drawing": []}
    ratios: dict[str, list[float]] = {"queued": [], "drawing": []}
    for id, state, at, eta in told:
        left = ends[id] - at
        if left > 1 and state in errors:
            errors[state].append(abs(eta - left) / left)
            ratios[state].append(eta / left)
    for state, found in errors.items():
        told_of = statistics.median(ratios[state])
        print(f"{state}: {len(found)} looks, median error {statistics.median(found):.0%}, told {told_of:.2f}")
    for state, found in errors.items():
        assert statistics.median(found) <= 0.25, state
