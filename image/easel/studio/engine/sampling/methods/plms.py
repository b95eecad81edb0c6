"""PLMS, the pseudo linear multistep method: Liu et al., arXiv 2202.09778."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.levels import NoiseLevels
from easel.studio.engine.sampling.settings import SamplerSettings

_ADAMS_BASHFORTH = {
    2: (3 / 2, -1 / 2),
    3: (23 / 12, -16 / 12, 5 / 12),
    4: (55 / 24, -59 / 24, 37 / 24, -9 / 24),
}


def plms(
    x: Tensor, timesteps: Sequence[int], levels: NoiseLevels, noise: Noise, settings: SamplerSettings
) -> Sampling:
    """DDIM's step along the mean of the last four noises. The first, which has none, looks ahead once."""
    known: list[Tensor] = []
    for timestep, timestep_next in pairwise(timesteps):
        eps = (yield Ask(x, timestep)).guided
        known = [eps, *known][:4]
        if len(known) == 1:
            ahead = _transferred(x, eps, levels, timestep, timestep_next)
            mean = (eps + (yield Ask(ahead, timestep_next)).guided) / 2
        else:
            mean = torch.zeros_like(eps)
            for weight, one in zip(_ADAMS_BASHFORTH[len(known)], known, strict=True):
                mean = mean + weight * one
        x = _transferred(x, mean, levels, timestep, timestep_next)
    return x


def _transferred(x: Tensor, eps: Tensor, levels: NoiseLevels, timestep: int, timestep_next: int) -> Tensor:
    """The paper's transfer: the picture that `eps` leaves of x, and the next timestep's share of `eps`."""
    a, a_next = levels.kept(timestep), levels.kept(timestep_next)
    predicted = (x - sqrt(1 - a) * eps) / sqrt(a)
    return sqrt(a_next) * predicted + sqrt(1 - a_next) * eps
