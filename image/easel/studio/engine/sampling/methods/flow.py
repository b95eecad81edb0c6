"""Methods that add noise, for models trained on straight paths: the picture's share gives way to the noise's.

Where latents are `x0 + sigma·noise` new noise is added and no more; where they are `(1 - sigma)·x0 +
sigma·noise` the rest has to shrink by as much, or the latents leave the path that the model knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.settings import SamplerSettings


def euler_ancestral_flow(
    x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings
) -> Sampling:
    """Below the next share of noise, and up to it with new noise."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = (yield Ask(x, sigma)).guided
        down = sigma_next * (1 + (sigma_next / sigma - 1) * settings.eta_ancestral)
        x = x + (x - denoised) / sigma * (down - sigma)
        if sigma_next > 0:
            kept = (1 - sigma_next) / (1 - down)
            up = sqrt(max(0.0, sigma_next**2 - (down * kept) ** 2))
            x = x * kept + noise() * (up * settings.s_noise)
    return x


def lcm_flow(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """All the way to the picture, and up again with new noise, less each time."""
    for sigma, sigma_next in pairwise(sigmas):
        x = (yield Ask(x, sigma)).guided
        if sigma_next > 0:
            x = x * (1 - sigma_next) + noise() * sigma_next
    return x
