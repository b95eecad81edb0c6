"""SDE-DPM-Solver++ of several steps, second and third order (after arXiv 2211.01095). k-diffusion's.

Time is t = -log(sigma), h a step of it. Where the noise comes from: ../brownian.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, BrownianNoise, Sampling
from easel.studio.engine.sampling.settings import SamplerSettings


def dpmpp_2m_sde(
    x: Tensor, sigmas: Sequence[float], noise: BrownianNoise, settings: SamplerSettings
) -> Sampling:
    """Second order, corrected at the middle of the step."""
    return (yield from _second_order(x, sigmas, noise, settings, heun=False))


def dpmpp_2m_sde_heun(
    x: Tensor, sigmas: Sequence[float], noise: BrownianNoise, settings: SamplerSettings
) -> Sampling:
    """Second order, corrected as Heun's method is."""
    return (yield from _second_order(x, sigmas, noise, settings, heun=True))


def _second_order(
    x: Tensor, sigmas: Sequence[float], noise: BrownianNoise, settings: SamplerSettings, *, heun: bool
) -> Sampling:
    eta = settings.eta_ancestral
    last: tuple[Tensor, float] | None = None
    for sigma, sigma_next in pairwise(sigmas):
        denoised = (yield Ask(x, sigma)).guided
        if sigma_next == 0:
            return denoised
        h = math.log(sigma / sigma_next)
        h_eta = h * (1 + eta)
        x = math.exp(-h_eta) * x - math.expm1(-h_eta) * denoised
        if last is not None:
            denoised_last, h_last = last
            slope = (denoised - denoised_last) * (h / h_last)
            x = x + slope * (_phi_2(h_eta) if heun else -0.5 * math.expm1(-h_eta))
        x = _noised(x, noise, sigma, sigma_next, settings)
        last = denoised, h
    return x


def dpmpp_3m_sde(
    x: Tensor, sigmas: Sequence[float], noise: BrownianNoise, settings: SamplerSettings
) -> Sampling:
    """Third order, from the third step on."""
    eta = settings.eta_ancestral
    last: list[tuple[Tensor, float]] = []
    for sigma, sigma_next in pairwise(sigmas):
        denoised = (yield Ask(x, sigma)).guided
        if sigma_next == 0:
            return denoised
        h = math.log(sigma / sigma_next)
        h_eta = h * (1 + eta)
        x = math.exp(-h_eta) * x - math.expm1(-h_eta) * denoised
        if len(last) == 2:
            (denoised_1, h_1), (denoised_2, h_2) = last
            r_0, r_1 = h_1 / h, h_2 / h
            d_0 = (denoised - denoised_1) / r_0
            d_1 = (denoised_1 - denoised_2) / r_1
            curve = (d_0 - d_1) / (r_0 + r_1)
            phi_2 = _phi_2(h_eta)
            x = x + (d_0 + curve * r_0) * phi_2 - curve * (phi_2 / h_eta - 0.5)
        elif last:
            denoised_1, h_1 = last[0]
            x = x + (denoised - denoised_1) * (h / h_1 * _phi_2(h_eta))
        x = _noised(x, noise, sigma, sigma_next, settings)
        last = [(denoised, h), *last][:2]
    return x


def _phi_2(h: float) -> float:
    return math.expm1(-h) / h + 1


def _noised(
    x: Tensor, noise: BrownianNoise, sigma: float, sigma_next: float, settings: SamplerSettings
) -> Tensor:
    eta = settings.eta_ancestral
    if not eta:
        return x
    spread = -math.expm1(-2 * eta * math.log(sigma / sigma_next))
    return x + noise(sigma, sigma_next) * (sigma_next * math.sqrt(spread) * settings.s_noise)
