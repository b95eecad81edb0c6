"""DPM-Solver++ (stochastic), single step, second order (arXiv 2211.01095). k-diffusion's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, BrownianNoise, Sampling
from easel.studio.engine.sampling.methods.step import ancestral_step, toward
from easel.studio.engine.sampling.settings import SamplerSettings


def dpmpp_sde(
    x: Tensor, sigmas: Sequence[float], noise: BrownianNoise, settings: SamplerSettings
) -> Sampling:
    """Half-way with noise, then the whole way toward the estimate there, with the same motion's noise."""
    eta, s_noise = settings.eta_ancestral, settings.s_noise
    for sigma, sigma_next in pairwise(sigmas):
        denoised = (yield Ask(x, sigma)).guided
        if sigma_next == 0:
            x = denoised
            continue
        half = (sigma * sigma_next) ** 0.5
        down, up = ancestral_step(sigma, half, eta)
        x_half = toward(x, denoised, sigma, down) + noise(sigma, half) * (s_noise * up)
        denoised_half = (yield Ask(x_half, half)).guided

        down, up = ancestral_step(sigma, sigma_next, eta)
        x = toward(x, denoised_half, sigma, down) + noise(sigma, sigma_next) * (s_noise * up)
    return x
