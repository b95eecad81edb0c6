"""DPM-Solver++ (stochastic), single step, second order (arXiv 2211.01095). k-diffusion's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
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
        above, half, below = _by_logarithms(sigma, sigma_next)
        down, up = ancestral_step(sigma, half, eta)
        x_half = toward(x, denoised, sigma, down) + noise(above, half) * (s_noise * up)
        denoised_half = (yield Ask(x_half, half)).guided

        down, up = ancestral_step(sigma, sigma_next, eta)
        x = toward(x, denoised_half, sigma, down) + noise(above, below) * (s_noise * up)
    return x


def _by_logarithms(sigma: float, sigma_next: float) -> tuple[float, float, float]:
    """Both sigmas and the one half-way between their logarithms, rounded as k-diffusion does.

    The tree tells sigmas apart by a millionth: exact ones give noise that is off by a thousandth.
    """
    t, t_next = torch.tensor([sigma, sigma_next]).log().neg()
    times = torch.stack([t, t + (t_next - t) * 0.5, t_next])
    above, half, below = times.neg().exp().tolist()
    return above, half, below
