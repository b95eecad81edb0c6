"""Heun's method: Karras et al., arXiv 2206.00364, algorithm 2."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.methods.step import churned
from easel.studio.engine.sampling.settings import SamplerSettings


def heun(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """An Euler step, and again with the mean of the tangents at both ends."""
    for sigma, sigma_next in pairwise(sigmas):
        x, sigma_hat = churned(x, sigma, len(sigmas) - 1, noise, settings)
        x = yield from heun_step(x, sigma_hat, sigma_next)
    return x


def heun_step(x: Tensor, sigma: float, sigma_next: float) -> Sampling:
    """One step; down to zero it is Euler's, as there is no tangent at zero."""
    denoised = (yield Ask(x, sigma)).guided
    d = (x - denoised) / sigma
    dt = sigma_next - sigma
    if sigma_next == 0:
        return x + d * dt
    x_2 = x + d * dt
    denoised_2 = (yield Ask(x_2, sigma_next)).guided
    d_2 = (x_2 - denoised_2) / sigma_next
    return x + (d + d_2) / 2 * dt
