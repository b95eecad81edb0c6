"""Linear multistep: Adams and Bashforth's method over uneven sigmas. k-diffusion's; ρAB-DEIS is the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import Polynomial
from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.settings import SamplerSettings

_ORDER = 4


def lms(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """The integral of the polynomial through the last four tangents."""
    tangents: list[Tensor] = []
    for i in range(len(sigmas) - 1):
        denoised = (yield Ask(x, sigmas[i])).guided
        tangents = [(x - denoised) / sigmas[i], *tangents][:_ORDER]
        coefficients = multistep_coefficients(sigmas[i::-1][: len(tangents)], sigmas[i], sigmas[i + 1])
        for coefficient, d in zip(coefficients, tangents, strict=True):
            x = x + coefficient * d
    return x


def multistep_coefficients(known: Sequence[float], start: float, end: float) -> list[float]:
    """The integrals from `start` to `end` of the Lagrange polynomials of `known`, one at each in turn."""
    coefficients = []
    for j, at in enumerate(known):
        others = [other for k, other in enumerate(known) if k != j]
        basis = Polynomial.fromroots(others) if others else Polynomial([1.0])
        area = basis.integ(lbnd=start)(end)
        coefficients.append(float(area / np.prod([at - other for other in others])))
    return coefficients
