"""The sigmas of each schedule type, highest first, zero last (but for KL Optimal, which ends at the least).

Uniform to Polyexponential are k-diffusion's; the others have the form that A1111 gives them, whose Beta is
spread over sigmas where the paper spreads it over timesteps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from easel.remark import figure, remark
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.sampling.levels import Levels
from easel.studio.engine.sampling.settings import SamplerSettings

# NVIDIA's tables for ten steps (arXiv 2404.14507); other counts are interpolated by logarithms
ALIGN_YOUR_STEPS = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
ALIGN_YOUR_STEPS_SDXL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)


class Range(NamedTuple):
    """What a schedule is made of: how many steps between which sigmas, of which levels."""

    steps: int
    sigma_min: float
    sigma_max: float
    levels: Levels
    settings: SamplerSettings


def uniform(r: Range) -> list[float]:
    """Timesteps evenly spread over all of training."""
    return _to_zero(r.levels.uniform(r.steps))


def karras(r: Range) -> list[float]:
    """Evenly spread roots."""
    return [*karras_between(r.sigma_max, r.sigma_min, r.steps, r.settings.rho or 7.0), 0.0]


def exponential(r: Range) -> list[float]:
    """Evenly spread logarithms."""
    return _to_zero(torch.linspace(math.log(r.sigma_max), math.log(r.sigma_min), r.steps).exp())


def polyexponential(r: Range) -> list[float]:
    """Logarithms spread by a power: `rho` 1 is the exponential schedule."""
    ramp = torch.linspace(1, 0, r.steps) ** (r.settings.rho or 1.0)
    low, high = math.log(r.sigma_min), math.log(r.sigma_max)
    return _to_zero((ramp * (high - low) + low).exp())


def normal(r: Range) -> list[float]:
    """Timesteps evenly spread between the two sigmas."""
    return _to_zero(_at_timesteps(r, r.steps))


def sgm_uniform(r: Range) -> list[float]:
    """As Normal with one step more, whose last is left out: the way of Stability's generative-models."""
    return _to_zero(_at_timesteps(r, r.steps + 1)[:-1])


def kl_optimal(r: Range) -> list[float]:
    """Evenly spread arctangents, best for normal data (arXiv 2404.14507). Ends at the least sigma."""
    least, most = torch.tensor(r.sigma_min).arctan(), torch.tensor(r.sigma_max).arctan()
    done = torch.arange(r.steps + 1) / r.steps
    sigmas: list[float] = (done * least + (1 - done) * most).tan().tolist()
    return sigmas


def align_your_steps(r: Range) -> list[float]:
    """NVIDIA's table for the family. One step begins at its highest sigma; A1111's at the lowest."""
    table = ALIGN_YOUR_STEPS_SDXL if r.levels.sdxl else ALIGN_YOUR_STEPS
    places = np.linspace(0, len(table) - 1, r.steps)
    return _to_zero(torch.tensor(np.exp(np.interp(places, np.arange(len(table)), np.log(table)))))


def simple(r: Range) -> list[float]:
    """Every n-th level of training, from the last."""
    stride = len(r.levels.sigmas) / r.steps
    return _to_zero(r.levels.sigmas[[-(1 + int(i * stride)) for i in range(r.steps)]])


def ddim(r: Range) -> list[float]:
    """Levels at a whole stride from the second: as many as that makes, which may be more than steps."""
    stride = max(len(r.levels.sigmas) // r.steps, 1)
    return _to_zero(r.levels.sigmas[1::stride].flip(0))


def beta(r: Range) -> list[float]:
    """Quantiles of a beta distribution (arXiv 2407.12173), over sigmas as A1111 has them."""
    from scipy.special import betaincinv

    places = betaincinv(r.settings.beta_dist_alpha, r.settings.beta_dist_beta, np.linspace(1, 0, r.steps))
    return _to_zero(torch.tensor(r.sigma_min + places * (r.sigma_max - r.sigma_min)))


def turbo(r: Range) -> list[float]:
    """Forge's: each n-th timestep counted from the end, for SD and SDXL Turbo."""
    timesteps = torch.arange(r.steps, 0, -1) * (len(r.levels.sigmas) / r.steps) - 1
    return _to_zero(r.levels.sigmas[timesteps.round().long().clamp(min=0)])


def karras_between(highest: float, lowest: float, count: int, rho: float = 7.0) -> list[float]:
    """`count` sigmas of Karras et al., arXiv 2206.00364, equation 5."""
    ramp = torch.linspace(0, 1, count)
    first, last = highest ** (1 / rho), lowest ** (1 / rho)
    sigmas: list[float] = ((first + ramp * (last - first)) ** rho).tolist()
    return sigmas


def _at_timesteps(r: Range, count: int) -> Tensor:
    quantised = r.settings.enable_quantization
    first = r.levels.sigma_to_t(r.sigma_max, quantised=quantised)
    last = r.levels.sigma_to_t(r.sigma_min, quantised=quantised)
    return r.levels.t_to_sigma(torch.linspace(first, last, count))


def _to_zero(sigmas: Tensor) -> list[float]:
    """In single precision, as k-diffusion has them."""
    return [*sigmas.float().tolist(), 0.0]


SCHEDULES: dict[str, Callable[[Range], list[float]]] = {
    schedule.__name__: schedule
    for schedule in (
        uniform, karras, exponential, polyexponential, sgm_uniform, kl_optimal, align_your_steps, simple,
        normal, ddim, beta, turbo,
    )
}  # fmt: skip


def noise_schedule(
    name: str, steps: int, levels: Levels, settings: SamplerSettings, *, discard: bool
) -> list[float]:
    """The sigmas of a schedule type by name. `discard`: one step more, less the last sigma above zero.

    Each sigma once: a step of no length would divide by zero. Polyexponential repeats its last ones for a
    high rho, Simple those of training beyond as many steps. Raises InvalidRequest where the settings' least
    sigma is not below the highest.
    """
    lowest, highest = levels.sigma_min, levels.sigma_max
    if settings.use_old_karras_scheduler_sigmas:
        lowest, highest = 0.1, 10.0
    lowest, highest = settings.sigma_min or lowest, settings.sigma_max or highest
    if not 0 < lowest < highest:
        raise InvalidRequest(
            "sigma_min",
            lowest,
            remark(
                "between_sigmas",
                "above 0 and below sigma_max, which is {most}",
                most=figure(highest, "g"),
            ),
        )
    sigmas = SCHEDULES[name](Range(steps + discard, lowest, highest, levels, settings))
    if discard:
        del sigmas[-2]
    return [*(sigma for sigma, below in pairwise(sigmas) if sigma > below), sigmas[-1]]
