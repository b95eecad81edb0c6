"""Restart sampling (Xu et al., arXiv 2306.14878): Heun's method that goes up and down again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

from torch import Tensor

from easel.studio.engine.sampling.ask import Noise, Sampling
from easel.studio.engine.sampling.methods.heun import heun_step
from easel.studio.engine.sampling.schedules import karras_between
from easel.studio.engine.sampling.settings import SamplerSettings

_LOW, _HIGH = 0.1, 2.0
"""Sigmas between which it goes up and down again."""


def restart(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """A1111's restarts: none below 20 steps, one up to 35, then two, within the steps that were asked."""
    reached = sigmas[0]
    for sigma, sigma_next in _walk(sigmas):
        if sigma > reached:
            x = x + noise() * sqrt(sigma**2 - reached**2)
        x = yield from heun_step(x, sigma, sigma_next)
        reached = sigma_next
    return x


def _walk(sigmas: Sequence[float]) -> list[tuple[float, float]]:
    """All steps, from where to where. With restarts they are Karras' between the ends of those given."""
    steps = len(sigmas) - 1
    if steps < 20:
        return list(pairwise(sigmas))
    again, times = (steps // 4, 2) if steps >= 36 else (9, 1)
    main = [*karras_between(sigmas[0], sigmas[-2], steps - again * times), 0.0]
    low, high = _nearest(main, _LOW), _nearest(main, _HIGH)
    walk = list(pairwise(main[: low + 1]))
    if high < low:
        walk += list(pairwise(karras_between(main[high], main[low], again + 1))) * times
    return walk + list(pairwise(main[low:]))


def _nearest(sigmas: Sequence[float], wanted: float) -> int:
    return min(range(len(sigmas)), key=lambda i: abs(sigmas[i] - wanted))
