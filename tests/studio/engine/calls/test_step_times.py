"""A step too long for everybody else is refused: the rule alone, over devices and sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from easel.models import Kind, ModelFile
from easel.studio.engine import StepTooLong
from easel.studio.engine.calls import step_times as step_times_module
from easel.studio.engine.calls.step_times import WARM_UP, StepTimes, largest

FILE = ModelFile(Path("a.safetensors"), "a.safetensors", Kind.CHECKPOINT, 1, 0.0)
sides = st.integers(8, 256).map(lambda eighth: eighth * 8)


def measured(limit: float, native: int, *calls: tuple[int, float]) -> StepTimes:
    """A device whose calls of so many latent pixels took so long."""
    step_times = StepTimes(limit)
    for cost, seconds in calls:
        for _ in range(WARM_UP + 1):
            step_times.record(FILE, native, 8, cost, seconds)
    return step_times


def test_the_error_says_size_time_limit_and_what_fits() -> None:
    """A step of 512 pixels took 2 s: one of 2048 takes 32 s at the least, and 1088 pixels fit into 10 s."""
    step_times = measured(10, 512, (64 * 64 * 2, 2.0))
    with pytest.raises(StepTooLong) as caught:
        step_times.check(FILE, 2048, 2048, 2)
    words = str(caught.value)
    for part in ("2048x2048", "32.0 s", "10 s", "up to 1088x1088", "EASEL_STEP_SECONDS"):
        assert part in words


def test_nothing_known_nothing_refused() -> None:
    """Before anything was measured nothing is said: the engine measures before it begins."""
    StepTimes(0.001).check(FILE, 2048, 2048, 2)


def test_the_first_call_does_not_count() -> None:
    """It pays for what is made once."""
    step_times, own = StepTimes(1), 64 * 64
    step_times.record(FILE, 512, 8, own, 60.0)
    assert step_times.seconds(FILE, own) is None
    step_times.record(FILE, 512, 8, own, 0.5)
    assert step_times.seconds(FILE, own) == 0.5


def test_of_less_than_the_own_size_nothing_is_learned() -> None:
    """A call of 64 pixels takes about what one of 128 takes: it is no reason to refuse 512, which would be 64
    times as much."""
    step_times = measured(10, 128, (8 * 8 * 2, 0.2))
    assert step_times.seconds(FILE, 64 * 64 * 2) is None
    step_times.check(FILE, 512, 512, 2)


def test_a_bad_measurement_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a busy neighbour made slow is not slow for ever."""
    now = [1000.0]
    monkeypatch.setattr(
        step_times_module, "time", type("Clock", (), {"monotonic": staticmethod(lambda: now[0])})
    )
    step_times = measured(10, 512, (8192, 100.0))
    with pytest.raises(StepTooLong):
        step_times.check(FILE, 1024, 1024, 2)
    now[0] += step_times_module.REMEMBERED + 1
    assert step_times.seconds(FILE, 8192) is None
    step_times.check(FILE, 1024, 1024, 2)


@given(sides, sides, st.sampled_from([128, 512, 1024]), st.floats(0.001, 100), st.floats(0.1, 60))
def test_what_is_refused_is_too_long_and_what_is_proposed_is_not(
    width: int, height: int, native: int, seconds: float, limit: float
) -> None:
    """By the device's own measure; the checkpoint's own size always passes, and the proposal passes in its
    turn."""
    own = (native // 8) ** 2 * 2
    step_times = measured(limit, native, (own, seconds))
    takes = seconds * (width // 8) * (height // 8) * 2 / own
    assume(abs(takes - limit) > limit * 1e-6)
    try:
        step_times.check(FILE, width, height, 2)
    except StepTooLong as error:
        assert takes > limit
        assert width * height > native**2
        fitting = str(error).partition("Draw up to ")[2].split(",")[0]
        proposed = [int(side) for side in fitting.split("x")]
        step_times.check(FILE, proposed[0], proposed[1], 2)
    else:
        assert takes <= limit or width * height <= native**2


@given(sides, sides, st.integers(64 * 64, 4_000_000))
def test_the_largest_size_keeps_the_shape(width: int, height: int, most: int) -> None:
    """Of the proposals on the grid it is one that fits, no side longer than what was asked for."""
    found = largest(width, height, 64, lambda w, h: w * h <= most)
    assert found == (64, 64) or (
        found[0] * found[1] <= most and found[0] <= max(64, width) and found[1] <= max(64, height)
    )
