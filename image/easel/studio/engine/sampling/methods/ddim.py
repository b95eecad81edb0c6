"""DDIM (Song et al., arXiv 2010.02502, equation 12) and CFG++ (Chung et al., arXiv 2406.08070)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Noise, Sampling
from easel.studio.engine.sampling.levels import NoiseLevels
from easel.studio.engine.sampling.settings import SamplerSettings


def ddim(
    x: Tensor, timesteps: Sequence[int], levels: NoiseLevels, noise: Noise, settings: SamplerSettings
) -> Sampling:
    """From timestep to timestep, downward. As A1111's, it ends at the last one and does not go on to zero."""
    return (yield from _walk(x, timesteps, levels, noise, settings, cfgpp=False))


def ddim_cfgpp(
    x: Tensor, timesteps: Sequence[int], levels: NoiseLevels, noise: Noise, settings: SamplerSettings
) -> Sampling:
    """Toward the guided picture, but along the noise that the negative prompt sees."""
    return (yield from _walk(x, timesteps, levels, noise, settings, cfgpp=True))


def _walk(
    x: Tensor,
    timesteps: Sequence[int],
    levels: NoiseLevels,
    noise: Noise,
    settings: SamplerSettings,
    *,
    cfgpp: bool,
) -> Sampling:
    eta = settings.eta_ddim
    for timestep, timestep_next in pairwise(timesteps):
        answer = yield Ask(x, timestep)
        a, a_next = levels.kept(timestep), levels.kept(timestep_next)
        sigma = eta * sqrt((1 - a_next) / (1 - a) * (1 - a / a_next))
        predicted = (x - sqrt(1 - a) * answer.guided) / sqrt(a)
        # an eta above one may ask for more noise than the next step has
        direction = sqrt(max(0.0, 1 - a_next - sigma**2))
        x = sqrt(a_next) * predicted + direction * (answer.unguided if cfgpp else answer.guided)
        if sigma:
            x = x + sigma * noise()
    return x
