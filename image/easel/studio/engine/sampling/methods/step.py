"""Pieces of steps that several methods share."""

from __future__ import annotations

from math import sqrt

from torch import Tensor

from easel.studio.engine.sampling.ask import Noise
from easel.studio.engine.sampling.settings import SamplerSettings


def ancestral_step(sigma: float, sigma_next: float, eta: float) -> tuple[float, float]:
    """The sigma to step down to and the noise to add after it, so that `sigma_next` is reached.

    `eta` 0 adds none, 1 as much as DDPM does.
    """
    if not eta:
        return sigma_next, 0.0
    up = min(sigma_next, eta * sqrt(sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2))
    return sqrt(sigma_next**2 - up**2), up


def toward(x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """A first-order step from `sigma` to `sigma_next`: Euler's, DDIM's and DPM-Solver++(1)'s are one.

    `x + (sigma_next - sigma)·(x - denoised)/sigma`, and in DPM-Solver++'s time, t = -log(sigma),
    `exp(t - t_next)·x - expm1(t - t_next)·denoised`.
    """
    return denoised + (x - denoised) * (sigma_next / sigma)


def churned(
    x: Tensor, sigma: float, steps: int, noise: Noise, settings: SamplerSettings
) -> tuple[Tensor, float]:
    """Noise added before a step: Karras et al., arXiv 2206.00364, algorithm 2, lines 4 to 6."""
    if not settings.s_churn > 0:
        return x, sigma
    # drawn at sigmas without churn, too, as k-diffusion does: what comes later would be other noise
    drawn = noise()
    if not settings.s_tmin <= sigma <= settings.highest_churned:
        return x, sigma
    higher = sigma * (1 + min(settings.s_churn / steps, sqrt(2) - 1))
    return x + drawn * (settings.s_noise * sqrt(higher**2 - sigma**2)), higher
