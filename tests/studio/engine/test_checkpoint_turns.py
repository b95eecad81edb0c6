"""Which checkpoint serves: fair by people, with few switches and bounded waits, in simulated hours."""

from __future__ import annotations

import random
import statistics
from functools import partial

import pytest

from easel.studio.engine.checkpoint_turns import PATIENCE
from tests.studio.engine.simulated_device import SECONDS, TURN, PersonsRequest, Simulation, checkpoint, jain

FILES = [checkpoint(name) for name in "abcde"]
# Of twenty people: who draws with which.
CROWD = [0] * 8 + [1] * 5 + [2] * 4 + [3] * 2 + [4]


def always(simulation: Simulation, owner: str, number: int, chance: random.Random) -> None:
    """Somebody who asks again as soon as they have what they asked for."""
    simulation.ask(
        owner, FILES[number], chance.randint(1, 4), lambda: always(simulation, owner, number, chance)
    )


def waits(requests: list[PersonsRequest], people: int) -> list[float]:
    """How much longer each took than alone in its share of the device, as a factor."""
    return [
        (one.ended - one.came) / (one.pictures * SECONDS * people)
        for one in requests
        if one.ended is not None
    ]


def crowd(simulation: Simulation, chance: random.Random) -> None:
    """One has five hundred pictures queued for a checkpoint of their own; nineteen have always some waiting,
    for four others."""
    simulation.ask("p19", FILES[4], 500)
    for person, number in enumerate(CROWD[:-1]):
        always(simulation, f"p{person}", number, chance)


@pytest.mark.parametrize(
    ("switch", "seconds"),
    [
        (2.0, 900),
        pytest.param(0.5, 3600, marks=pytest.mark.slow),
        pytest.param(5.0, 3600, marks=pytest.mark.slow),
    ],
)
def test_twenty_people_and_five_checkpoints(
    monkeypatch: pytest.MonkeyPatch, switch: float, seconds: float
) -> None:
    """Each has the same of the device, and switching takes a fifth of it at most."""
    simulation = Simulation(monkeypatch, switch=switch)
    crowd(simulation, random.Random(7))
    simulation.run(seconds)
    had = [simulation.device.had[f"p{person}"] for person in range(20)]
    print(f"Jain {jain(had):.4f}, {simulation.device.at_hand.switches} switches of {switch} s in {seconds} s")
    assert jain(had) >= 0.95
    assert simulation.device.at_hand.switches * switch <= seconds / 5


@pytest.mark.parametrize("seconds", [600, pytest.param(7200, marks=pytest.mark.slow)])
def test_who_comes_for_a_single_picture(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Beside that crowd people come for one picture, with any checkpoint: nobody waits more than twice what
    it takes alone in their share."""
    simulation, chance = Simulation(monkeypatch, switch=1.0), random.Random(3)
    crowd(simulation, chance)
    newcomers: list[PersonsRequest] = []

    def come(number: int) -> None:
        newcomers.append(simulation.ask(f"new{number}", chance.choice(FILES)))
        simulation.at(chance.expovariate(1 / 120), lambda: come(number + 1))

    simulation.at(60, lambda: come(0))
    simulation.run(seconds)
    factors = waits(newcomers, 21)
    print(f"{len(factors)} newcomers, median {statistics.median(factors):.2f}, worst {max(factors):.2f}")
    assert len(factors) >= seconds / 300
    assert max(factors) <= 2


@pytest.mark.slow
def test_a_day_of_twenty_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """People draw, look at it for a while and draw again, at 0.7 of what the device can: it takes half of
    them no longer than a third of their share's time, and nobody longer than twice that."""
    simulation, chance = Simulation(monkeypatch, switch=1.0), random.Random(11)
    pause = 20 * 2.5 * SECONDS / 0.7

    def again(person: int) -> None:
        file = FILES[CROWD[person] if chance.random() < 0.8 else chance.randrange(5)]
        then = partial(simulation.at, chance.expovariate(1 / pause), partial(again, person))
        simulation.ask(f"p{person}", file, chance.randint(1, 4), then)

    for person in range(20):
        simulation.at(chance.uniform(0, pause), partial(again, person))
    simulation.run(24 * 3600)
    factors = sorted(waits(simulation.requests, 20))
    print(
        f"{len(factors)} requests, {simulation.device.at_hand.switches} switches, of the share's time: "
        f"median {statistics.median(factors):.2f}, 99 % {factors[len(factors) * 99 // 100]:.2f}, "
        f"worst {factors[-1]:.2f}"
    )
    assert statistics.median(factors) < 0.3
    assert factors[-1] <= 2


def test_ones_own_other_checkpoint_comes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody alone with a hundred pictures for one checkpoint asks for one of another: it comes within
    `PATIENCE` seconds and what is under way, not behind the hundred."""
    simulation = Simulation(monkeypatch, switch=1.0)
    simulation.ask("ada", FILES[0], 100)
    simulation.run(40)
    other = simulation.ask("ada", FILES[1])
    simulation.run(60)
    assert other.ended is not None
    assert other.ended - other.came < PATIENCE + 4 * SECONDS
    assert simulation.device.had["ada"] * TURN > 80, "and the hundred go on"
