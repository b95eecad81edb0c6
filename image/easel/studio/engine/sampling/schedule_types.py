"""Schedule types under A1111's names: how noise levels are spread over the steps."""

from __future__ import annotations

from dataclasses import dataclass

from easel.studio.engine.errors import UnknownSampler


@dataclass(frozen=True)
class ScheduleType:
    """One row of the schedule list.

    `default_rho` is -1 where rho means nothing; `need_inner_model` are those that read the levels which the
    checkpoint was trained at, and not the first and last of them only.
    """

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    default_rho: float = -1.0
    need_inner_model: bool = False


SCHEDULE_TYPES: tuple[ScheduleType, ...] = (
    ScheduleType("automatic", "Automatic"),
    ScheduleType("uniform", "Uniform", need_inner_model=True),
    ScheduleType("karras", "Karras", default_rho=7.0),
    ScheduleType("exponential", "Exponential"),
    ScheduleType("polyexponential", "Polyexponential", default_rho=1.0),
    ScheduleType("sgm_uniform", "SGM Uniform", ("SGMUniform",), need_inner_model=True),
    ScheduleType("kl_optimal", "KL Optimal"),
    ScheduleType("align_your_steps", "Align Your Steps"),
    ScheduleType("simple", "Simple", need_inner_model=True),
    ScheduleType("normal", "Normal", need_inner_model=True),
    ScheduleType("ddim", "DDIM", ("ddim_uniform",), need_inner_model=True),
    ScheduleType("beta", "Beta", need_inner_model=True),
    ScheduleType("turbo", "Turbo", need_inner_model=True),
)

AUTOMATIC = SCHEDULE_TYPES[0]

_BY_NAME = {name.lower(): one for one in SCHEDULE_TYPES for name in (one.name, one.label, *one.aliases)}


def resolve_schedule_type(name: str | None) -> ScheduleType:
    """The schedule type of a name, label or alias, whatever its case; none means Automatic.

    Raises UnknownSampler, which names the nearest spelling.
    """
    if not name:
        return AUTOMATIC
    found = _BY_NAME.get(" ".join(name.split()).lower())
    if found is None:
        raise UnknownSampler("Scheduler", name, (one.label for one in SCHEDULE_TYPES))
    return found


# k-diffusion's short names for what used to be samplers of their own: k_dpmpp_2m_ka
_SHORT = {"_ka": "karras", "_exp": "exponential"}
# longest first: "SGM Uniform" ends like "Uniform"
_ENDINGS = sorted(
    [(" " + name, one) for name, one in _BY_NAME.items()]
    + [(end, _BY_NAME[name]) for end, name in _SHORT.items()],
    key=lambda pair: -len(pair[0]),
)


def split_joined(name: str) -> tuple[str, ScheduleType | None]:
    """ "DPM++ 2M Karras" and "k_dpmpp_2m_ka" in two: sampler's name, and schedule type if it has one."""
    lowered = name.lower()
    for ending, schedule in _ENDINGS:
        if lowered.endswith(ending):
            return name[: -len(ending)], schedule
    return name, None
