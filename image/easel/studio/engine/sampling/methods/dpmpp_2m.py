"""DPM-Solver++(2M): Lu et al., arXiv 2211.01095, algorithm 2. k-diffusion's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.methods.step import toward
from easel.studio.engine.sampling.settings import SamplerSettings


def dpmpp_2m(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """Toward where the last two estimates point; the first step and the one to zero toward the last alone."""
    last: Tensor | None = None
    for i in range(len(sigmas) - 1):
        denoised = (yield Ask(x, sigmas[i])).guided
        target = denoised
        if last is not None and sigmas[i + 1] > 0:
            h = math.log(sigmas[i] / sigmas[i + 1])
            h_last = math.log(sigmas[i - 1] / sigmas[i])
            target = denoised + (denoised - last) * (h / (2 * h_last))
        x = toward(x, target, sigmas[i], sigmas[i + 1])
        last = denoised
    return x
