"""Which calls go without the negative prompt."""

from __future__ import annotations

import pytest

from easel.studio.engine import SamplerSettings
from easel.studio.engine.calls.guidance import without_negative

SIGMAS = [14.6, 8.0, 4.0, 2.0, 1.0, 0.5, 0.2, 0.03]


@pytest.mark.parametrize(
    ("settings", "skipped"),
    [
        ({}, []),
        ({"s_min_uncond": 3.0}, [3, 5, 7]),  # below the sigma, every other call
        ({"s_min_uncond": 3.0, "s_min_uncond_all": True}, [3, 4, 5, 6, 7]),
        ({"s_min_uncond_all": True}, []),
        ({"s_min_uncond": 15.0}, [1, 3, 5, 7]),
        ({"skip_early_cond": 0.25}, [0, 1, 2]),  # A1111 takes the step at the border, too
        ({"skip_early_cond": 0.01}, [0]),
        ({"skip_early_cond": 1.0}, list(range(8))),
        ({"skip_early_cond": 0.125, "s_min_uncond": 0.1}, [0, 1, 7]),
    ],
)
def test_calls_without_the_negative_prompt(settings, skipped) -> None:
    """Early ones by their share of the steps, late ones by their sigma; by default none."""
    asked = SamplerSettings(**settings)
    found = [n for n, sigma in enumerate(SIGMAS) if without_negative(asked, n, len(SIGMAS), sigma)]
    assert found == skipped
