"""When a newcomer's first step begins, at loads below and above what a device can, in simulated minutes."""

from __future__ import annotations

import random
import statistics
from functools import partial

import pytest

from tests.studio.engine.simulated_device import SECONDS, TURN, Simulation, checkpoint

FILE = checkpoint("a")


@pytest.mark.parametrize(
    ("load", "seconds"),
    [
        (1.2, 200),
        pytest.param(0.3, 600, marks=pytest.mark.slow),
        pytest.param(0.7, 600, marks=pytest.mark.slow),
        pytest.param(1.2, 600, marks=pytest.mark.slow),
    ],
)
def test_a_newcomers_first_step_comes_next(
    monkeypatch: pytest.MonkeyPatch, load: float, seconds: float
) -> None:
    """People come for one to four pictures each, as a Poisson process, while three have hundreds queued.
    Whoever comes waits for the call that runs, and for the first steps of those who came in it before them:
    never for a later step of anybody, not even where more is asked for than the device can."""
    simulation, chance = Simulation(monkeypatch, switch=1.0), random.Random(5)
    for person in range(3):
        simulation.ask(f"old{person}", FILE, 400)
    came: dict[str, float] = {}
    after = 10.0
    while after < seconds:
        newcomer = f"new{len(came)}"
        came[newcomer] = simulation.clock.now + after
        simulation.at(after, partial(simulation.ask, newcomer, FILE, chance.randint(1, 4)))
        after += chance.expovariate(load / (2.5 * SECONDS))
    simulation.run(seconds + 10 * TURN)
    begun = simulation.device.first
    waited = {newcomer: begun[newcomer] - at for newcomer, at in came.items()}
    ahead = {
        newcomer: sum(other <= at and begun[who] >= at for who, other in came.items() if who != newcomer)
        for newcomer, at in came.items()
    }
    print(
        f"load {load}: {len(waited)} newcomers, first step after {max(waited.values()):.3f} s at worst, "
        f"{statistics.median(waited.values()):.3f} s in the median; a call takes {TURN} s"
    )
    assert len(waited) > seconds / 30
    assert {one: wait for one, wait in waited.items() if wait > TURN * (1 + ahead[one])} == {}
    assert statistics.median(waited.values()) < TURN
