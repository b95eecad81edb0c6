"""Multistep sampling of latent consistency models: Luo et al., arXiv 2310.04378, algorithm 3."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.settings import SamplerSettings


def lcm(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: SamplerSettings) -> Sampling:
    """All the way to the picture, and up again with new noise, less each time."""
    for sigma, sigma_next in pairwise(sigmas):
        x = (yield Ask(x, sigma)).guided
        if sigma_next > 0:
            x = x + noise() * sigma_next
    return x
