"""The time left that tickets tell, on a device whose steps were recorded beside other programs."""

from __future__ import annotations

import statistics

import pytest

from bench import stand_in_device
from bench.stand_in_device import StandInDevice
from easel.studio.api.jobs.ticket import Company

JOBS, AFTERNOONS = 40, 4


def errors(afternoons: int = AFTERNOONS) -> list[float]:
    """Of all that was told, as shares of what was left."""
    return [one for seed in range(afternoons) for one in StandInDevice(seed).run(JOBS)]


def test_three_steps_are_enough() -> None:
    """While people come, ask for other sizes, change their minds and go: the median error is at most a
    quarter, and neither too long nor too short on the whole."""
    found = errors()
    assert len(found) > 1_000
    assert statistics.median(map(abs, found)) <= 0.25
    assert abs(statistics.median(found)) <= 0.1


def test_the_device_is_not_too_easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who forgets that others have their share misses the number by far."""
    monkeypatch.setattr(stand_in_device, "Company", lambda _others: Company([]))
    assert statistics.median(map(abs, errors(1))) > 0.35
