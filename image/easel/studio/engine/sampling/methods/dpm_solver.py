"""DPM-Solver, steps of its own over a range of sigmas (Lu et al., arXiv 2206.00927). k-diffusion's.

Time is t = -log(sigma). The model is asked for the noise eps = (x - denoised) / sigma.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from easel.studio.engine.sampling.ask import Answer, Ask, Noise, Sampling
from easel.studio.engine.sampling.methods.step import ancestral_step
from easel.studio.engine.sampling.settings import SamplerSettings

_END = 1e-5
"""How near the end of the range is the end."""


def dpm_fast(
    x: Tensor, highest: float, lowest: float, calls: int, noise: Noise, settings: SamplerSettings
) -> Sampling:
    """Steps of third order, and one or two lower ones, so that there are `calls` calls in all."""
    whole, left = divmod(calls, 3)
    orders = [3] * whole + [left] if left else [3] * (whole - 1) + [2, 1]
    times = np.linspace(-math.log(highest), -math.log(lowest), len(orders) + 1).tolist()
    for order, (t, t_next) in zip(orders, pairwise(times), strict=True):
        down, up = _below(t, t_next, times[-1], settings.eta_ancestral)
        eps = yield from _eps(x, t)
        if order == 1:
            x = _first_order(x, t, down, eps)
        elif order == 2:
            _, x = yield from _second_order(x, t, down, eps)
        else:
            _, x = yield from _third_order(x, t, down, eps)
        x = x + noise() * (up * settings.s_noise)
    return x


def dpm_adaptive(
    x: Tensor, highest: float, lowest: float, calls: int, noise: Noise, settings: SamplerSettings
) -> Sampling:
    """DPM-Solver-23: steps as long as both orders agree. How many, the picture decides, and not `calls`."""
    t, end = -math.log(highest), -math.log(lowest)
    eta = settings.eta_ancestral
    steps = _StepSize(order=1.5 if eta else 3.0)
    x_before = x
    while t < end - _END:
        t_next = min(end, t + steps.size)
        down, up = _below(t, t_next, end, eta)
        eps = yield from _eps(x, t)
        x_low, x_high = yield from _third_order(x, t, down, eps)
        if steps.accepts(_difference(x_low, x_high, x_before)):
            x_before = x_low
            x = x_high + noise() * up
            t = t_next
    return x


@dataclass
class _StepSize:
    """A controller that keeps the error of a step near one: too large, and it is taken again, shorter."""

    order: float
    size: float = 0.05
    safety: float = 0.81

    def accepts(self, error: float) -> bool:
        """Whether a step with this error counts. The next size follows from it either way."""
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / self.order) - 1)
        self.size *= factor
        return factor >= self.safety


def _difference(low: Tensor, high: Tensor, before: Tensor) -> float:
    """The distance of two results, in units of what is tolerated."""
    tolerated = (0.05 * torch.maximum(low.abs(), before.abs())).clamp(min=0.0078)
    return float(((low - high) / tolerated).square().mean().sqrt())


def _below(t: float, t_next: float, end: float, eta: float) -> tuple[float, float]:
    """The time to step to, beyond `t_next`, and the noise that leads back to it."""
    if not eta:
        return t_next, 0.0
    down, _ = ancestral_step(math.exp(-t), math.exp(-t_next), eta)
    beyond = min(end, -math.log(down)) if down > 0 else end
    return beyond, math.sqrt(max(0.0, math.exp(-2 * t_next) - math.exp(-2 * beyond)))


def _eps(x: Tensor, t: float) -> Sampling:
    sigma = math.exp(-t)
    denoised = (yield Ask(x, sigma)).guided
    return (x - denoised) / sigma


def _first_order(x: Tensor, t: float, t_next: float, eps: Tensor) -> Tensor:
    """DPM-Solver-1."""
    return x - eps * (math.exp(-t_next) * math.expm1(t_next - t))


def _second_order(
    x: Tensor, t: float, t_next: float, eps: Tensor, r: float = 1 / 2
) -> Generator[Ask, Answer, tuple[Tensor, Tensor]]:
    """DPM-Solver-2: (the noise at `r` of the step, the result)."""
    between = t + r * (t_next - t)
    eps_r = yield from _eps(_first_order(x, t, between, eps), between)
    return eps_r, _second_order_of(x, t, t_next, eps, eps_r, r)


def _second_order_of(x: Tensor, t: float, t_next: float, eps: Tensor, eps_r: Tensor, r: float) -> Tensor:
    factor = math.exp(-t_next) * math.expm1(t_next - t)
    return x - eps * factor - (eps_r - eps) * (factor / (2 * r))


def _third_order(
    x: Tensor, t: float, t_next: float, eps: Tensor
) -> Generator[Ask, Answer, tuple[Tensor, Tensor]]:
    """DPM-Solver-3: (the result of second order that comes along, that of third)."""
    r_1, r_2 = 1 / 3, 2 / 3
    eps_1, second = yield from _second_order(x, t, t_next, eps, r_1)
    h = t_next - t
    between = t + r_2 * h
    u = x - eps * (math.exp(-between) * math.expm1(r_2 * h))
    u = u - (eps_1 - eps) * (math.exp(-between) * (r_2 / r_1) * (math.expm1(r_2 * h) / (r_2 * h) - 1))
    eps_2 = yield from _eps(u, between)
    third = x - eps * (math.exp(-t_next) * math.expm1(h))
    return second, third - (eps_2 - eps) * (math.exp(-t_next) / r_2 * (math.expm1(h) / h - 1))
