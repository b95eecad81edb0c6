"""The time left that tickets tell, on a device whose steps were recorded beside other programs."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from bench import stand_in_device
from bench.stand_in_device import StandInDevice
from easel.models import Kind, ModelFile
from easel.studio.api.jobs.ticket import Company
from easel.studio.engine import Pace, PersonsWork, TextToImage, time_for

JOBS, AFTERNOONS = 40, 4


def errors(afternoons: int = AFTERNOONS) -> list[float]:
    """Of all that was told, as shares of what was left."""
    return [one for seed in range(afternoons) for one in StandInDevice(seed).run(JOBS)]


@pytest.mark.slow
def test_three_steps_are_enough() -> None:
    """While people come, ask for other sizes, change their minds and go: the median error is at most a
    quarter, and neither too long nor too short on the whole. Nine of ten are within three fifths: shares are
    counted in pixels, of which small pictures make fewer in a second."""
    found = errors()
    assert len(found) > 1_000
    assert statistics.median(map(abs, found)) <= 0.25
    assert abs(statistics.median(found)) <= 0.1
    assert statistics.quantiles(map(abs, found), n=10)[-1] <= 0.6


def test_shares_are_counted_in_pixels() -> None:
    """Beside 10 seconds of somebody's small pictures, which are few pixels, others have as many pixels
    drawn and not as many seconds; where nobody counted them, seconds stand for them."""
    large = PersonsWork(seconds=100.0, pictures=4, units=400.0)
    assert time_for(10.0, [large], units=8.0) == pytest.approx(12.0)
    assert time_for(10.0, [large]) == pytest.approx(20.0)
    assert time_for(10.0, [large], units=1e6) == pytest.approx(110.0)


def test_the_device_is_not_too_easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who forgets that others have their share misses the number by far."""
    monkeypatch.setattr(stand_in_device, "Company", lambda _others: Company([]))
    assert statistics.median(map(abs, errors(1))) > 0.35


def test_a_first_call_of_several_counts_for_nothing() -> None:
    """It warms up, for however many pictures: the second says how long calls take."""
    pace, file = Pace(), ModelFile(Path("a.safetensors"), "a.safetensors", Kind.CHECKPOINT, 1, 0.0)
    request = TextToImage(width=128, height=128, steps=10)
    pace.stepped(file, [128**2] * 4, 40.0)
    pace.stepped(file, [128**2] * 4, 0.4)
    assert pace.picture(file, request) == pytest.approx(1.0)


def test_a_size_that_was_not_seen_takes_as_others_grow() -> None:
    """Calls of 64 and 128 pixels take the same here: one of 512 takes less than its pixels say, and more than
    they."""
    pace, file = Pace(), ModelFile(Path("a.safetensors"), "a.safetensors", Kind.CHECKPOINT, 1, 0.0)
    for side in (64, 128):
        for _ in range(3):
            pace.stepped(file, [side**2], 0.1)
    found = pace.picture(file, TextToImage(width=512, height=512, steps=10))
    assert found is not None
    assert 1.0 < found < 0.1 * 10 * 16
