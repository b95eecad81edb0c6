"""The diffusers schedulers that draw until the engine runs `sampling/`, which has tables and methods.

Samplers and schedule types that diffusers cannot draw (DPM fast, Restart, KL Optimal …) are not offered here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from easel.studio.engine.errors import UnknownSampler
from easel.studio.engine.sampling import samplers as table
from easel.studio.engine.sampling import schedule_types
from easel.studio.engine.sampling.samplers import Sampler as Sampler
from easel.studio.engine.sampling.schedule_types import ScheduleType as ScheduleType

if TYPE_CHECKING:
    import torch

_SCHEDULERS: dict[str, tuple[str, dict[str, object]]] = {
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "DPM++ SDE": ("DPMSolverSDEScheduler", {}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "DPM++ 3M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Euler": ("EulerDiscreteScheduler", {}),
    "LMS": ("LMSDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "DPM2": ("KDPM2DiscreteScheduler", {}),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
    "DDIM": ("DDIMScheduler", {}),
    "PLMS": ("PNDMScheduler", {"skip_prk_steps": True}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "DEIS": ("DEISMultistepScheduler", {}),
    "LCM": ("LCMScheduler", {}),
}
_BY_TIMESTEP = {"DDIM", "PLMS", "LCM"}
_ARGUMENTS: dict[str, dict[str, object]] = {
    "automatic": {},
    "uniform": {},
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "sgm_uniform": {"timestep_spacing": "trailing"},
    "simple": {"timestep_spacing": "trailing"},
    "normal": {},
    "ddim": {"timestep_spacing": "leading", "steps_offset": 1},
    "beta": {"use_beta_sigmas": True},
}

SAMPLERS = tuple(one for one in table.SAMPLERS if one.name in _SCHEDULERS)
SCHEDULE_TYPES = tuple(one for one in schedule_types.SCHEDULE_TYPES if one.name in _ARGUMENTS)


def resolve(sampler: str, schedule_type: str | None = None) -> tuple[Sampler, ScheduleType]:
    """`sampling.samplers.resolve` of what diffusers can draw. Raises UnknownSampler for the rest, too."""
    found, schedule = table.resolve(sampler, schedule_type)
    if found not in SAMPLERS:
        raise UnknownSampler("Sampler", sampler, (one.name for one in SAMPLERS))
    if schedule not in SCHEDULE_TYPES:
        raise UnknownSampler("Scheduler", schedule.label, (one.label for one in SCHEDULE_TYPES))
    return found, schedule


def make_scheduler(
    config: Mapping[str, Any],
    sampler: Sampler,
    schedule: ScheduleType,
    steps: int,
    seed: int,
    device: str = "cpu",
) -> Any:
    """A diffusers scheduler for one picture, its timesteps set.

    `config` is the family's scheduler_config.json: betas and prediction type come from there. `seed` feeds
    samplers that keep a noise process of their own (DPM++ SDE's Brownian tree).
    """
    import diffusers

    scheduler_name, own = _SCHEDULERS[sampler.name]
    cls = getattr(diffusers, scheduler_name)
    if schedule.name == "automatic":
        schedule = schedule_types.resolve_schedule_type(sampler.automatic)
    spread = _ARGUMENTS[schedule.name]
    accepted = inspect.signature(cls.__init__).parameters
    arguments: dict[str, Any] = {
        **{key: value for key, value in config.items() if key in accepted},
        "timestep_spacing": _spacing(config, sampler),
        **own,
        **({} if sampler.name in _BY_TIMESTEP else spread),
    }
    if "original_inference_steps" in accepted:
        # LCM picks its steps out of those it was distilled from, and refuses to take more than there are
        arguments["original_inference_steps"] = max(50, steps)
    if "noise_sampler_seed" in accepted:
        arguments["noise_sampler_seed"] = seed
    if config.get("rescale_betas_zero_snr") and not _rescales(accepted, config):
        arguments.pop("rescale_betas_zero_snr", None)
        arguments["trained_betas"] = _zero_snr_betas(config)
    scheduler = cls(**{key: value for key, value in arguments.items() if key in accepted})
    scheduler.set_timesteps(steps, device=device)
    if schedule.name in {"karras", "exponential", "beta"}:
        _place_noise_levels(scheduler, schedule, steps, accepted)
    if hasattr(scheduler, "set_begin_index"):
        # otherwise the first step looks its index up among the timesteps, which waits for the device
        scheduler.set_begin_index(0)
    return scheduler


def _spacing(config: Mapping[str, Any], sampler: Sampler) -> str:
    """Where the timesteps lie when the schedule type does not say.

    A1111 spreads k-diffusion samplers over the whole range (linspace) and lets DDIM and PLMS stop one stride
    short (leading). A family trained to start from pure noise says "trailing" in its own config, and then
    that holds.
    """
    if config.get("timestep_spacing") == "trailing":
        return "trailing"
    return "leading" if sampler.name in _BY_TIMESTEP else "linspace"


def _rescales(accepted: Mapping[str, inspect.Parameter], config: Mapping[str, Any]) -> bool:
    """Whether a scheduler makes the last step all noise by itself, without dividing by zero."""
    return "rescale_betas_zero_snr" in accepted and config.get("prediction_type") == "v_prediction"


def _zero_snr_betas(config: Mapping[str, Any]) -> list[float]:
    """The betas with zero-terminal SNR (arXiv 2305.08891, algorithm 1), for schedulers that know none.

    The signal left at the last step is that which diffusers leaves, 2**-24: at zero its noise level, which
    k-diffusion's samplers begin with, would be infinite.
    """
    import torch
    from diffusers import EulerDiscreteScheduler

    like = EulerDiscreteScheduler.from_config(dict(config))
    kept = like.alphas_cumprod.double()
    before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    betas: list[float] = (1 - kept / before).tolist()
    return betas


def _place_noise_levels(
    scheduler: Any, schedule: ScheduleType, steps: int, accepted: Mapping[str, inspect.Parameter]
) -> None:
    """Karras, exponential or beta noise levels for a scheduler that has no such option of its own (Euler a).

    People have used "Euler a" with "Karras" for years; silently drawing with another schedule would be a lie.
    """
    if any(name in accepted for name in _ARGUMENTS[schedule.name]) or not hasattr(scheduler, "sigmas"):
        return
    import numpy as np
    import torch
    from diffusers import EulerDiscreteScheduler

    like = EulerDiscreteScheduler.from_config({**scheduler.config, **_ARGUMENTS[schedule.name]})
    like.set_timesteps(steps, device=scheduler.timesteps.device)
    scheduler.sigmas = like.sigmas.clone()
    scheduler.timesteps = torch.from_numpy(np.asarray(like.timesteps.cpu(), dtype=np.float32)).to(
        scheduler.timesteps.device
    )


def step_noise(scheduler: Any, generator: torch.Generator, eta: float | None) -> dict[str, Any]:
    """The keyword arguments beyond (output, timestep, sample) that this scheduler's `step` understands."""
    accepted = inspect.signature(scheduler.step).parameters
    arguments: dict[str, Any] = {}
    if "generator" in accepted:
        arguments["generator"] = generator
    if "eta" in accepted and eta is not None:
        arguments["eta"] = eta
    return arguments
