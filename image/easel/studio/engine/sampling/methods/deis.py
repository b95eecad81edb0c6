"""DEIS, tAB in the logarithm of sigma (Zhang and Chen, arXiv 2204.13902), second order."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.settings import SamplerSettings


def deis(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """The integral over sigma of the line through the last two tangents, a line in log(sigma).

    The first step, and the last one to zero, where a logarithm ends, take one tangent. That is what
    diffusers' DEISMultistepScheduler does, which drew "DEIS" here before.
    """
    last: tuple[float, Tensor] | None = None
    for i in range(len(sigmas) - 1):
        sigma, sigma_next = sigmas[i], sigmas[i + 1]
        denoised = (yield Ask(x, sigma)).guided
        d = (x - denoised) / sigma
        if last is None or sigma_next == 0:
            x = x + d * (sigma_next - sigma)
        else:
            sigma_last, d_last = last
            x = x + d * _weight(sigma, sigma_last, sigma, sigma_next)
            x = x + d_last * _weight(sigma_last, sigma, sigma, sigma_next)
        last = sigma, d
    return x


def _weight(at: float, other: float, start: float, end: float) -> float:
    """The integral over sigma of the line in log(sigma) that is one at `at` and zero at `other`."""

    def integral(sigma: float) -> float:
        return sigma * (math.log(sigma) - 1 - math.log(other)) / (math.log(at) - math.log(other))

    return integral(end) - integral(start)
