"""Samplers and schedule types under A1111's names, and the diffusers schedulers behind them.

The map is the diffusers documentation's (`api/schedulers/overview`). The names promise the same method, not
the same pixels: diffusers and k-diffusion differ in rounding and end points (huggingface/diffusers#4167,
#6295). Importing this module costs nothing; torch and diffusers come with the first `make_scheduler`.

Where they come from: DPM++ arXiv 2211.01095, DPM2 2206.00927, Heun and the Karras schedule 2206.00364, DDIM
2010.02502, PLMS 2202.09778, UniPC 2302.04867, DEIS 2204.13902, LCM 2310.04378, the Beta schedule 2407.12173;
Euler a, LMS and the exponential schedule are k-diffusion's (crowsonkb/k-diffusion).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from easel.studio.engine.errors import UnknownSampler

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Sampler:
    """One row of the sampler list: its name in A1111, and how diffusers builds it.

    `second_order` samplers call the UNet twice a step. `stochastic` ones add noise while they go.
    """

    name: str
    aliases: tuple[str, ...]
    scheduler: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    automatic: str = "Uniform"
    second_order: bool = False
    stochastic: bool = False
    # A1111 tells its ENSD of them, and where they take their eta from: eta_ancestral or eta_ddim
    uses_ensd: bool = False
    eta: str = ""
    discard_next_to_last_sigma: bool = False
    # DDIM and PLMS walk whole timesteps: schedule types, which place noise levels, do not count, as in A1111.
    by_timestep: bool = False


@dataclass(frozen=True)
class ScheduleType:
    """One row of the schedule list: how noise levels are spread over the steps."""

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    arguments: Mapping[str, object] = field(default_factory=dict)
    default_rho: float = -1.0


SAMPLERS: tuple[Sampler, ...] = (
    Sampler("DPM++ 2M", ("k_dpmpp_2m",), "DPMSolverMultistepScheduler", automatic="Karras"),
    Sampler(
        "DPM++ SDE",
        ("k_dpmpp_sde",),
        "DPMSolverSDEScheduler",
        automatic="Karras",
        second_order=True,
        stochastic=True,
        eta="eta_ancestral",
    ),
    Sampler(
        "DPM++ 2M SDE",
        ("k_dpmpp_2m_sde",),
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++"},
        automatic="Exponential",
        stochastic=True,
        eta="eta_ancestral",
    ),
    Sampler(
        "DPM++ 3M SDE",
        ("k_dpmpp_3m_sde",),
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 3},
        automatic="Exponential",
        stochastic=True,
        eta="eta_ancestral",
        discard_next_to_last_sigma=True,
    ),
    Sampler(
        "Euler a",
        ("k_euler_a", "k_euler_ancestral"),
        "EulerAncestralDiscreteScheduler",
        stochastic=True,
        uses_ensd=True,
        eta="eta_ancestral",
    ),
    Sampler("Euler", ("k_euler",), "EulerDiscreteScheduler"),
    Sampler("LMS", ("k_lms",), "LMSDiscreteScheduler"),
    Sampler("Heun", ("k_heun",), "HeunDiscreteScheduler", second_order=True),
    Sampler(
        "DPM2",
        ("k_dpm_2",),
        "KDPM2DiscreteScheduler",
        automatic="Karras",
        second_order=True,
        discard_next_to_last_sigma=True,
    ),
    Sampler(
        "DPM2 a",
        ("k_dpm_2_a", "k_dpm_2_ancestral"),
        "KDPM2AncestralDiscreteScheduler",
        automatic="Karras",
        second_order=True,
        stochastic=True,
        uses_ensd=True,
        eta="eta_ancestral",
        discard_next_to_last_sigma=True,
    ),
    Sampler("DDIM", ("ddim",), "DDIMScheduler", by_timestep=True, eta="eta_ddim"),
    Sampler("PLMS", ("plms",), "PNDMScheduler", {"skip_prk_steps": True}, by_timestep=True),
    Sampler("UniPC", ("unipc",), "UniPCMultistepScheduler"),
    Sampler("DEIS", ("deis",), "DEISMultistepScheduler"),
    Sampler("LCM", ("k_lcm",), "LCMScheduler", stochastic=True, by_timestep=True),
)

SCHEDULE_TYPES: tuple[ScheduleType, ...] = (
    ScheduleType("automatic", "Automatic"),
    ScheduleType("uniform", "Uniform"),
    ScheduleType("karras", "Karras", (), {"use_karras_sigmas": True}, default_rho=7.0),
    ScheduleType("exponential", "Exponential", (), {"use_exponential_sigmas": True}),
    ScheduleType("sgm_uniform", "SGM Uniform", ("SGMUniform",), {"timestep_spacing": "trailing"}),
    ScheduleType("simple", "Simple", (), {"timestep_spacing": "trailing"}),
    ScheduleType("normal", "Normal"),
    ScheduleType("ddim", "DDIM", ("ddim_uniform",), {"timestep_spacing": "leading", "steps_offset": 1}),
    ScheduleType("beta", "Beta", (), {"use_beta_sigmas": True}),
)

_SAMPLER_BY_NAME = {name.lower(): s for s in SAMPLERS for name in (s.name, *s.aliases)}
_SCHEDULE_BY_NAME = {name.lower(): s for s in SCHEDULE_TYPES for name in (s.name, s.label, *s.aliases)}


def resolve(sampler: str, schedule_type: str | None = None) -> tuple[Sampler, ScheduleType]:
    """Table entries for a sampler and schedule type, by name, label or alias, whatever their case.

    Old joined names ("DPM++ 2M Karras") are split; the joined schedule gives way to one named on its own.
    Raises UnknownSampler, which names the nearest spelling.
    """
    wanted = " ".join((sampler or "").split())
    schedule = _schedule(schedule_type)
    found = _SAMPLER_BY_NAME.get(wanted.lower())
    if found is None:
        head, joined = _split(wanted)
        found = _SAMPLER_BY_NAME.get(head.lower())
        if found is None or joined is None:
            raise UnknownSampler("Sampler", sampler, (s.name for s in SAMPLERS))
        if schedule.name == "automatic":
            schedule = joined
    return found, schedule


def _schedule(name: str | None) -> ScheduleType:
    if not name:
        return SCHEDULE_TYPES[0]
    found = _SCHEDULE_BY_NAME.get(" ".join(name.split()).lower())
    if found is None:
        raise UnknownSampler("Scheduler", name, (s.label for s in SCHEDULE_TYPES))
    return found


def _split(name: str) -> tuple[str, ScheduleType | None]:
    lowered = name.lower()
    # longest first: "SGM Uniform" ends like "Uniform"
    for key, schedule in sorted(_SCHEDULE_BY_NAME.items(), key=lambda item: -len(item[0])):
        if lowered.endswith(" " + key):
            return name[: -len(key) - 1], schedule
    return name, None


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

    cls = getattr(diffusers, sampler.scheduler)
    if schedule.name == "automatic":
        schedule = _SCHEDULE_BY_NAME[sampler.automatic.lower()]
    accepted = inspect.signature(cls.__init__).parameters
    arguments: dict[str, Any] = {
        **{key: value for key, value in config.items() if key in accepted},
        "timestep_spacing": _spacing(config, sampler),
        **sampler.arguments,
        **({} if sampler.by_timestep else schedule.arguments),
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
    if schedule.default_rho > 0 or schedule.name in {"exponential", "beta"}:
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
    return "leading" if sampler.by_timestep else "linspace"


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
    if any(name in accepted for name in schedule.arguments) or not hasattr(scheduler, "sigmas"):
        return
    import numpy as np
    import torch
    from diffusers import EulerDiscreteScheduler

    like = EulerDiscreteScheduler.from_config({**scheduler.config, **schedule.arguments})
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
