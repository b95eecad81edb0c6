"""Euler's method (arXiv 2206.00364, algorithm 2 without correction), and its ancestral form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.methods.step import ancestral_step, churned
from easel.studio.engine.sampling.settings import SamplerSettings


def euler(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """Along the tangent from sigma to sigma."""
    for sigma, sigma_next in pairwise(sigmas):
        x, sigma_hat = churned(x, sigma, len(sigmas) - 1, noise, settings)
        denoised = (yield Ask(x, sigma_hat)).guided
        d = (x - denoised) / sigma_hat
        x = x + d * (sigma_next - sigma_hat)
    return x


def euler_ancestral(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """Below the next sigma, and up to it with new noise. k-diffusion's."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = (yield Ask(x, sigma)).guided
        down, up = ancestral_step(sigma, sigma_next, settings.eta_ancestral)
        d = (x - denoised) / sigma
        x = x + d * (down - sigma)
        if sigma_next > 0:
            x = x + noise() * up
    return x
