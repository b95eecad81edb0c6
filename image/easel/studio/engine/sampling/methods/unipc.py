"""UniPC, the unified predictor-corrector: Zhao et al., arXiv 2302.04867, the picture predicted.

Time is lambda = log(a/s) of `a·x0 + s·noise`, h a step of it. Timesteps lie between whole ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.levels import NoiseLevels
from easel.studio.engine.sampling.settings import SamplerSettings


class _Point(NamedTuple):
    a: float
    s: float
    time: float


class _Weights(NamedTuple):
    """What differences of earlier pictures count in predictor and corrector, and the newest's there."""

    predictor: list[float]
    corrector: list[float]
    newest: float


def unipc(
    x: Tensor, timesteps: Sequence[float], levels: NoiseLevels, noise: Noise, settings: SamplerSettings
) -> Sampling:
    """From the first timestep to the last: UniP goes ahead, the model is asked there, UniC goes again."""
    steps = len(timesteps) - 1
    order = min(settings.uni_pc_order, steps)
    weigh = _vary_weights if settings.uni_pc_variant == "vary_coeff" else _bh_weights
    points = _points(levels, timesteps)
    # times and pictures, newest first
    known = [(points[0].time, _picture(x, points[0], (yield Ask(x, timesteps[0])).guided))]
    for step in range(1, steps + 1):
        here, there = points[step - 1], points[step]
        (time, newest), *earlier = known[: _order(step, steps, order, settings)]
        h = there.time - here.time
        ratios = [(one - time) / h for one, _ in earlier]
        differences = [(one - newest) / r for (_, one), r in zip(earlier, ratios, strict=True)]
        weights = weigh(ratios, h, settings.uni_pc_variant)

        base = x * (there.s / here.s) - newest * (there.a * math.expm1(-h))
        x = base
        for weight, difference in zip(weights.predictor, differences, strict=True):
            x = x - difference * (there.a * weight)
        if step < steps:
            picture = _picture(x, there, (yield Ask(x, timesteps[step])).guided)
            x = base - (picture - newest) * (there.a * weights.newest)
            for weight, difference in zip(weights.corrector, differences, strict=True):
                x = x - difference * (there.a * weight)
            known = [(there.time, picture), *known][:order]
    return x


def walk(levels: NoiseLevels, first: float, steps: int, skip_type: str) -> list[float]:
    """The timesteps from `first` to zero, by one of A1111's three `uni_pc_skip_type`."""
    count = len(levels.sigmas)
    if skip_type == "time_quadratic":
        roots = np.linspace(((first + 1) / count) ** 0.5, (1 / count) ** 0.5, steps + 1)
        return [float(root**2 * count - 1) for root in roots]
    if skip_type == "logSNR":
        begin, end = _points(levels, [first, 0])
        times = np.linspace(begin.time, end.time, steps + 1)
        log_a = -0.5 * np.logaddexp(0, -2 * times)
        return [float(t) for t in np.interp(-log_a, -_log_a(levels), np.arange(count))]
    return [float(t) for t in np.linspace(first, 0, steps + 1)]


def _order(step: int, steps: int, order: int, settings: SamplerSettings) -> int:
    """As many earlier pictures as there are; fewer at the end, where each is nearer."""
    if settings.uni_pc_lower_order_final and step >= order:
        return min(order, steps + 1 - step)
    return min(order, step)


def _bh_weights(ratios: list[float], h: float, variant: str) -> _Weights:
    """B(h) is h (bh1) or e^h - 1 (bh2)."""
    hh = -h
    scale = hh if variant == "bh1" else math.expm1(hh)
    order = len(ratios) + 1
    rks = np.array([*ratios, 1.0])
    rows = np.stack([rks**power for power in range(order)])
    wanted = np.array([_phi(k + 2, hh) * math.factorial(k + 1) * hh / scale for k in range(order)])
    corrector = np.linalg.solve(rows, wanted) if order > 1 else np.array([0.5])
    # one half is the authors' shorter form, for the corrector of order one and the predictor of order two
    predictor = np.array([0.5]) if order == 2 else np.linalg.solve(rows[:-1, :-1], wanted[:-1])
    return _Weights(
        (scale * predictor).tolist(), (scale * corrector[:-1]).tolist(), float(scale * corrector[-1])
    )


def _vary_weights(ratios: list[float], h: float, variant: str) -> _Weights:
    """Coefficients that vary with h: the general case, as the authors' program has it."""
    hh = -h
    order = len(ratios) + 1
    rks = np.array([*ratios, 1.0])
    columns = np.stack([rks**k / math.factorial(k + 1) for k in range(order)], axis=1)
    phis = np.array([_phi(k + 2, hh) * hh for k in range(order)])
    inverse = np.linalg.inv(columns)
    predictor = phis[:-1] @ np.linalg.inv(columns[:-1, :-1]) if order > 1 else np.array([])
    corrector = phis[:-1] @ inverse[:-1, :-1]
    return _Weights(predictor.tolist(), corrector.tolist(), float(phis[-1] * inverse[max(order - 2, 0), -1]))


def _phi(k: int, h: float) -> float:
    """phi_k of exponential integrators: phi_1 = (e^h - 1)/h, phi_(k+1) = (phi_k - 1/k!)/h."""
    if abs(h) < 1:  # by its series: the recursion divides rounding by a power of h
        return sum(h**n / math.factorial(n + k) for n in range(18))
    value = math.expm1(h) / h
    for below in range(1, k):
        value = (value - 1 / math.factorial(below)) / h
    return value


def _log_a(levels: NoiseLevels) -> NDArray[np.float64]:
    log_a: NDArray[np.float64] = 0.5 * np.log(levels.alphas_cumprod.double().numpy())
    return log_a


def _points(levels: NoiseLevels, timesteps: Sequence[float]) -> list[_Point]:
    """Between timesteps by log(a)."""
    log_a = np.interp(timesteps, np.arange(len(levels.sigmas)), _log_a(levels))
    s = np.sqrt(-np.expm1(2 * log_a))
    return [
        _Point(*one)
        for one in zip(np.exp(log_a).tolist(), s.tolist(), (log_a - np.log(s)).tolist(), strict=True)
    ]


def _picture(x: Tensor, at: _Point, eps: Tensor) -> Tensor:
    return (x - at.s * eps) / at.a
