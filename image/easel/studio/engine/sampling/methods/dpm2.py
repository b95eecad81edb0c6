"""DPM-Solver-2 in sigmas, after Karras' algorithm 2 (arXiv 2206.00927, 2206.00364). k-diffusion's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.methods.step import ancestral_step, churned
from easel.studio.engine.sampling.settings import SamplerSettings


def dpm2(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """By the tangent at the geometric mean of both sigmas."""
    for sigma, sigma_next in pairwise(sigmas):
        x, sigma_hat = churned(x, sigma, len(sigmas) - 1, noise, settings)
        x = yield from _midpoint_step(x, sigma_hat, sigma_next)
    return x


def dpm2_ancestral(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """The same below the next sigma, and up to it with new noise."""
    for sigma, sigma_next in pairwise(sigmas):
        down, up = ancestral_step(sigma, sigma_next, settings.eta_ancestral)
        x = yield from _midpoint_step(x, sigma, down)
        if down > 0:
            x = x + noise() * (settings.s_noise * up)
    return x


def _midpoint_step(x: Tensor, sigma: float, sigma_next: float) -> Sampling:
    denoised = (yield Ask(x, sigma)).guided
    d = (x - denoised) / sigma
    if sigma_next == 0:
        return x + d * (sigma_next - sigma)
    sigma_mid = sqrt(sigma * sigma_next)
    x_2 = x + d * (sigma_mid - sigma)
    denoised_2 = (yield Ask(x_2, sigma_mid)).guided
    d_2 = (x_2 - denoised_2) / sigma_mid
    return x + d_2 * (sigma_next - sigma)
