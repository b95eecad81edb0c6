"""What an infotext says of a picture's noise, sampler and guidance: A1111's labels, where A1111 writes them.

A1111 writes what differs from its defaults and what the sampler at hand reads. Beyond that, where A1111 1.10
loses what would be needed to draw the picture again: settings of a request as well as options, what the
second pass's sampler alone reads, UniPC's, and labels of our own for what A1111 has none
(docs/reference/infotext.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from easel.studio.engine import (
    EmphasisMode,
    Sampler,
    SamplerSettings,
    ScheduleType,
    TextToImage,
    UnknownSampler,
    of_flows,
    resolve,
)

# A1111's sampler_extra_params (sd_samplers_kdiffusion): who reads which of s_churn and its neighbours.
_CHURNED = {"Euler", "Heun", "DPM2"}
_NOISY = _CHURNED | {
    "DPM fast", "DPM2 a", "DPM++ 2S a", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE",
}  # fmt: skip
_ALWAYS_NOISY = {"LCM", "Restart"}
_ETA_LABELS = {"eta_ancestral": "Eta", "eta_ddim": "Eta DDIM"}
_UNI_PC_LABELS = {
    "uni_pc_variant": "UniPC variant", "uni_pc_skip_type": "UniPC skip type", "uni_pc_order": "UniPC order",
    "uni_pc_lower_order_final": "UniPC lower order final",
}  # fmt: skip
_DEFAULT = SamplerSettings()
_DETAILER = re.compile(r"ADetailer sampler(| \d+\w\w)")
_NOTHING: Mapping[str, object] = MappingProxyType({})
_BRACKETS = ("(", "[")
# what is a letter where nothing is emphasis
_ALL_MARKS = (*_BRACKETS, "\\", "BREAK")


def schedule_type(request: TextToImage, *, flow: bool = False) -> str:
    """The schedule that a request is really drawn with, as A1111 says it: what a sampler takes by itself has
    its name, and one that walks whole timesteps follows none. `flow`: the checkpoint predicts one, whose
    Automatic is its own, and whose samplers all follow a schedule."""
    return _followed(*request.method(), flow=flow)


def hires_schedule_type(request: TextToImage, *, flow: bool = False) -> str | None:
    """The schedule of the second pass, None where it is what comes of the first one's label."""
    second = _second(request)
    if second is None:
        return None
    followed = _followed(*second, flow=flow)
    said = _followed(*resolve(second[0].name, schedule_type(request, flow=flow)), flow=flow)
    return None if followed == said else followed


def _followed(sampler: Sampler, chosen: ScheduleType, *, flow: bool) -> str:
    if flow:
        return chosen.label
    if sampler.by_timestep:
        return "Automatic"
    if chosen.name == "automatic" and sampler.automatic != "Uniform":
        return sampler.automatic
    return chosen.label


def _second(request: TextToImage) -> tuple[Sampler, ScheduleType] | None:
    """Sampler and schedule of the second pass, where there is one."""
    hires = request.hires
    if hires is None:
        return None
    return resolve(hires.sampler or request.sampler, hires.schedule_type or request.schedule_type)


def _methods(
    request: TextToImage, *, flow: bool, others: Mapping[str, object]
) -> list[tuple[Sampler, ScheduleType]]:
    """What all passes are really drawn with, each with the schedule that it follows."""
    found = []
    every = (request.method(), _second(request), *_of_areas(others))
    for sampler, chosen in filter(None, every):
        drawn = of_flows(sampler) if flow else sampler
        found.append(resolve(drawn.name, _followed(sampler, chosen, flow=flow)))
    return found


def _of_areas(others: Mapping[str, object]) -> Iterator[tuple[Sampler, ScheduleType]]:
    """Samplers of ADetailer's units that have one of their own."""
    for key, name in others.items():
        if (unit := _DETAILER.fullmatch(key)) is None:
            continue
        scheduler = str(others.get(f"ADetailer scheduler{unit[1]}", "Automatic"))
        with suppress(UnknownSampler):  # "Use same sampler"
            yield resolve(str(name), scheduler)


def seed_parameters(
    request: TextToImage, *, flow: bool = False, others: Mapping[str, object] = _NOTHING
) -> dict[str, object | None]:
    """Seeds beside the first, and where noise comes from."""
    width, height = request.seed_resize_from_w, request.seed_resize_from_h
    return {
        "Seed resize from": f"{width}x{height}" if width > 0 and height > 0 else None,
        "Clip skip": request.clip_skip if request.clip_skip > 1 else None,
        "Clip L skip": True if request.sdxl_clip_l_skip and request.clip_skip > 1 else None,
        "ENSD": request.eta_noise_seed_delta or None if _tells_ensd(request, flow, others) else None,
        "Init image hash": request.source.init_hash if request.source else None,
        "Reference images": len(request.shown) or None,
        "RNG": request.randn_source if request.randn_source != "GPU" else None,
    }


def sampling_parameters(
    request: TextToImage, *, flow: bool = False, others: Mapping[str, object] = _NOTHING
) -> dict[str, object]:
    """Emphasis, then of each pass schedule and sampler, then guidance, in the order in which A1111 comes to
    them. `others` are the text's other parameters, which may name samplers of what ADetailer drew."""
    found: dict[str, object] = {}
    if _tells_emphasis(request):
        found["Emphasis"] = request.emphasis.value
    for sampler, schedule in _methods(request, flow=flow, others=others):
        if not sampler.by_timestep:
            found |= _of_schedule(request.sampling, sampler, schedule)
        found |= _of_sampler(request.sampling, sampler, flow=flow)
    return found | _of_guidance(request.sampling)


def _tells_emphasis(request: TextToImage) -> bool:
    """Whether a text has what the mode reads in its own way."""
    if request.emphasis is EmphasisMode.ORIGINAL:
        return False
    hires = (request.hires.prompt, request.hires.negative_prompt) if request.hires else ()
    texts = "".join((request.prompt, request.negative_prompt, *hires))
    marks = _ALL_MARKS if request.emphasis is EmphasisMode.NONE else _BRACKETS
    return any(mark in texts for mark in marks)


def _tells_ensd(request: TextToImage, flow: bool, others: Mapping[str, object]) -> bool:
    """Whether a sampler draws noise after the first: A1111 tells ENSD of some that do, and of none that adds
    it by churn."""
    return any(
        _draws_later(sampler, request.sampling) for sampler, _ in _methods(request, flow=flow, others=others)
    )


def _draws_later(sampler: Sampler, settings: SamplerSettings) -> bool:
    if sampler.name in _CHURNED:
        return settings.s_churn > 0
    if sampler.eta:
        return bool(getattr(settings, sampler.eta)) and not sampler.brownian_noise
    return sampler.uses_ensd or sampler.name in _ALWAYS_NOISY


def _of_schedule(settings: SamplerSettings, sampler: Sampler, schedule: ScheduleType) -> dict[str, object]:
    found: dict[str, object] = {}
    if settings.always_discard_next_to_last_sigma and not sampler.discard_next_to_last_sigma:
        found["Discard penultimate sigma"] = True
    # Automatic that comes to nothing but the checkpoint's own levels has no range to set
    if schedule.name != "automatic" and settings.sigma_min:
        found["Schedule min sigma"] = plain(settings.sigma_min)
    if schedule.name != "automatic" and settings.sigma_max:
        found["Schedule max sigma"] = plain(settings.sigma_max)
    if schedule.default_rho > 0 and settings.rho not in (0, schedule.default_rho):
        found["Schedule rho"] = plain(settings.rho)
    if schedule.name != "automatic" and settings.use_old_karras_scheduler_sigmas:
        found["Old Karras sigmas"] = True
    if settings.enable_quantization:
        found["Whole timesteps"] = True
    if schedule.label == "Beta":
        found["Beta schedule alpha"] = plain(settings.beta_dist_alpha)
        found["Beta schedule beta"] = plain(settings.beta_dist_beta)
    if settings.sgm_noise_multiplier:
        found["SGM noise multiplier"] = True
    return found


def _of_sampler(settings: SamplerSettings, sampler: Sampler, *, flow: bool) -> dict[str, object]:
    read: dict[str, str] = {}
    if sampler.eta:
        read[sampler.eta] = _ETA_LABELS[sampler.eta]
    if sampler.name in _CHURNED:
        read |= {"s_churn": "Sigma churn", "s_tmin": "Sigma tmin", "s_tmax": "Sigma tmax"}
    if sampler.name in _NOISY or (flow and sampler.eta):
        read["s_noise"] = "Sigma noise"
    if sampler.name == "UniPC":
        read |= _UNI_PC_LABELS
    return {
        label: plain(getattr(settings, name))
        for name, label in read.items()
        if getattr(settings, name) != getattr(_DEFAULT, name)
    }


def _of_guidance(settings: SamplerSettings) -> dict[str, object]:
    found: dict[str, object] = {}
    if settings.skip_early_cond:
        found["Skip Early CFG"] = plain(settings.skip_early_cond)
    if settings.s_min_uncond:
        found["NGMS"] = plain(settings.s_min_uncond)
        if settings.s_min_uncond_all:
            found["NGMS all steps"] = True
    return found


def plain(value: Any) -> Any:
    """7.0 is written 7."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
