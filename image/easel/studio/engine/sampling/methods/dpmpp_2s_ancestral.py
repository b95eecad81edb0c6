"""DPM-Solver++(2S), ancestral: Lu et al., arXiv 2211.01095, algorithm 1. k-diffusion's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.methods.step import ancestral_step, toward
from easel.studio.engine.sampling.settings import SamplerSettings


def dpmpp_2s_ancestral(
    x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings
) -> Sampling:
    """Toward the estimate half-way, below the next sigma; then up to it with new noise."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = (yield Ask(x, sigma)).guided
        down, up = ancestral_step(sigma, sigma_next, settings.eta_ancestral)
        if down > 0:
            half = sqrt(sigma * down)
            denoised = (yield Ask(toward(x, denoised, sigma, half), half)).guided
        x = toward(x, denoised, sigma, down)
        if sigma_next > 0:
            x = x + noise() * (settings.s_noise * up)
    return x
