"""Samplers under A1111's names, with the options it gives each. Importing this costs nothing: no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from easel.studio.engine.errors import UnknownSampler
from easel.studio.engine.sampling.schedule_types import (
    AUTOMATIC,
    ScheduleType,
    resolve_schedule_type,
    split_joined,
)

Kind = Literal["sigmas", "range", "lcm", "timesteps"]


@dataclass(frozen=True)
class Sampler:
    """One row of the sampler list.

    `method` is its function in `methods/`. `kind` is what that walks: the schedule's sigmas; the range
    between two of them, in steps of its own; the 50 levels that LCM distilled; or timesteps, for which
    schedule types do not count. `automatic` is the schedule type that Automatic means. `second_order`: prompt
    editing counts two steps for each. `eta` is the setting it takes its eta from. `uses_ensd`: A1111 tells
    its ENSD. `adaptive`: how long a step is follows the answers, whose last bits other pictures of the same
    call change; it goes alone. `cfg_scale` is what the request's is multiplied by: CFG++ takes the whole
    range from 0 to 12.5 for what others call 0 to 1.
    """

    name: str
    aliases: tuple[str, ...]
    method: str
    kind: Kind = "sigmas"
    automatic: str = "Uniform"
    second_order: bool = False
    discard_next_to_last_sigma: bool = False
    brownian_noise: bool = False
    uses_ensd: bool = False
    eta: Literal["", "eta_ancestral", "eta_ddim"] = ""
    solver_type: str = ""
    adaptive: bool = False
    cfg_scale: float = 1.0

    @property
    def by_timestep(self) -> bool:
        """Whether it walks whole timesteps: schedule types, which place noise levels, do not count then."""
        return self.kind == "timesteps"

    @property
    def needs_unguided(self) -> bool:
        """Whether it asks for the negative prompt's answer in every call, as CFG++ does."""
        return self.cfg_scale != 1.0

    @property
    def options(self) -> dict[str, str]:
        """What A1111's list of samplers tells of it."""
        told = {
            "scheduler": "" if self.automatic == "Uniform" else self.automatic.lower(),
            "discard_next_to_last_sigma": self.discard_next_to_last_sigma,
            "uses_ensd": self.uses_ensd,
            "second_order": self.second_order,
            "brownian_noise": self.brownian_noise,
            "solver_type": self.solver_type,
        }
        return {name: str(value) for name, value in told.items() if value}


SAMPLERS: tuple[Sampler, ...] = (
    Sampler("DPM++ 2M", ("k_dpmpp_2m",), "dpmpp_2m", automatic="Karras"),
    Sampler(
        "DPM++ SDE", ("k_dpmpp_sde",), "dpmpp_sde", automatic="Karras", second_order=True,
        brownian_noise=True, eta="eta_ancestral",
    ),
    Sampler(
        "DPM++ 2M SDE", ("k_dpmpp_2m_sde",), "dpmpp_2m_sde", automatic="Exponential",
        brownian_noise=True, eta="eta_ancestral",
    ),
    Sampler(
        "DPM++ 2M SDE Heun", ("k_dpmpp_2m_sde_heun",), "dpmpp_2m_sde_heun", automatic="Exponential",
        brownian_noise=True, eta="eta_ancestral", solver_type="heun",
    ),
    Sampler(
        "DPM++ 2S a", ("k_dpmpp_2s_a",), "dpmpp_2s_ancestral", automatic="Karras", second_order=True,
        uses_ensd=True, eta="eta_ancestral",
    ),
    Sampler(
        "DPM++ 3M SDE", ("k_dpmpp_3m_sde",), "dpmpp_3m_sde", automatic="Exponential",
        discard_next_to_last_sigma=True, brownian_noise=True, eta="eta_ancestral",
    ),
    Sampler(
        "Euler a", ("k_euler_a", "k_euler_ancestral"), "euler_ancestral", uses_ensd=True, eta="eta_ancestral"
    ),
    Sampler("Euler", ("k_euler",), "euler"),
    Sampler("LMS", ("k_lms",), "lms"),
    Sampler("Heun", ("k_heun",), "heun", second_order=True),
    Sampler(
        "DPM2", ("k_dpm_2",), "dpm2", automatic="Karras", second_order=True, discard_next_to_last_sigma=True
    ),
    Sampler(
        "DPM2 a", ("k_dpm_2_a", "k_dpm_2_ancestral"), "dpm2_ancestral", automatic="Karras",
        second_order=True, discard_next_to_last_sigma=True, uses_ensd=True, eta="eta_ancestral",
    ),
    Sampler("DPM fast", ("k_dpm_fast",), "dpm_fast", "range", uses_ensd=True, eta="eta_ancestral"),
    Sampler(
        "DPM adaptive", ("k_dpm_ad",), "dpm_adaptive", "range", uses_ensd=True, eta="eta_ancestral",
        adaptive=True,
    ),
    Sampler("Restart", ("restart",), "restart", automatic="Karras", second_order=True),
    Sampler("DDIM", ("ddim",), "ddim", "timesteps", eta="eta_ddim"),
    Sampler("DDIM CFG++", ("ddim_cfgpp",), "ddim_cfgpp", "timesteps", eta="eta_ddim", cfg_scale=1 / 12.5),
    Sampler("PLMS", ("plms",), "plms", "timesteps"),
    Sampler("UniPC", ("unipc",), "unipc", "timesteps"),
    Sampler("DEIS", ("deis",), "deis"),
    Sampler("LCM", ("k_lcm",), "lcm", "lcm"),
)  # fmt: skip

# What models that predict a flow are drawn with where the method's arithmetic is that of noise: the nearest
# one that is of any path (see `method_table.FLOW_METHODS`).
_OF_FLOWS = {
    "DPM++ SDE": "Euler a", "DPM++ 2M SDE": "DPM++ 2M", "DPM++ 2M SDE Heun": "DPM++ 2M",
    "DPM++ 2S a": "Euler a", "DPM++ 3M SDE": "DPM++ 2M", "DPM2 a": "Euler a", "DPM fast": "DPM++ 2M",
    "DPM adaptive": "DPM++ 2M", "Restart": "Heun", "DDIM": "Euler", "DDIM CFG++": "Euler", "PLMS": "LMS",
    "UniPC": "DPM++ 2M",
}  # fmt: skip

_BY_NAME = {name.lower(): one for one in SAMPLERS for name in (one.name, *one.aliases)}


def of_flows(sampler: Sampler) -> Sampler:
    """The sampler that a model which predicts a flow is drawn with where this one is asked for."""
    return _BY_NAME[_OF_FLOWS.get(sampler.name, sampler.name).lower()]


def resolve(sampler: str, schedule_type: str | None = None) -> tuple[Sampler, ScheduleType]:
    """Table entries for a sampler and schedule type, by name, label or alias, whatever their case.

    Old joined names ("DPM++ 2M Karras", k_dpmpp_2m_ka) are split; the joined schedule gives way to one named
    on its own. Raises UnknownSampler, which names the nearest spelling.
    """
    wanted = " ".join((sampler or "").split())
    schedule = resolve_schedule_type(schedule_type)
    found = _BY_NAME.get(wanted.lower())
    if found is None:
        head, joined = split_joined(wanted)
        found = _BY_NAME.get(head.lower())
        if found is None or joined is None:
            raise UnknownSampler("Sampler", sampler, (one.name for one in SAMPLERS))
        if schedule is AUTOMATIC:
            schedule = joined
    return found, schedule
