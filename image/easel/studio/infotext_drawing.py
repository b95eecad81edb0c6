"""What an infotext says of a picture's noise, sampler and guidance: A1111's labels, where A1111 writes them.

A1111 writes what differs from its defaults and what the sampler at hand reads. Beyond that, where A1111 1.10
loses what would be needed to draw the picture again: settings of a request as well as options, and UniPC's.
"""

from __future__ import annotations

from typing import Any

from easel.studio.engine import EmphasisMode, Sampler, SamplerSettings, ScheduleType, TextToImage, resolve

# A1111's sampler_extra_params (sd_samplers_kdiffusion): who reads which of s_churn and its neighbours.
_CHURNED = {"Euler", "Heun", "DPM2"}
_NOISY = _CHURNED | {
    "DPM fast", "DPM2 a", "DPM++ 2S a", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE",
}  # fmt: skip
_ETA_LABELS = {"eta_ancestral": "Eta", "eta_ddim": "Eta DDIM"}
_UNI_PC_LABELS = {
    "uni_pc_variant": "UniPC variant", "uni_pc_skip_type": "UniPC skip type", "uni_pc_order": "UniPC order",
    "uni_pc_lower_order_final": "UniPC lower order final",
}  # fmt: skip
_DEFAULT = SamplerSettings()


def schedule_type(request: TextToImage) -> str:
    """The schedule that a request is really drawn with, as A1111 says it: what a sampler takes by itself has
    its name, and one that walks whole timesteps follows none."""
    sampler, chosen = request.method()
    if sampler.by_timestep:
        return "Automatic"
    if chosen.name == "automatic" and sampler.automatic != "Uniform":
        return sampler.automatic
    return chosen.label


def seed_parameters(request: TextToImage) -> dict[str, object | None]:
    """Seeds beside the first, and where noise comes from."""
    width, height = request.seed_resize_from_w, request.seed_resize_from_h
    return {
        "Seed resize from": f"{width}x{height}" if width > 0 and height > 0 else None,
        "Clip skip": request.clip_skip if request.clip_skip > 1 else None,
        "ENSD": request.eta_noise_seed_delta or None if _tells_ensd(request) else None,
        "Init image hash": request.source.init_hash if request.source else None,
        "Reference images": len(request.shown) or None,
        "RNG": request.randn_source if request.randn_source != "GPU" else None,
    }


def sampling_parameters(request: TextToImage) -> dict[str, object]:
    """Emphasis, schedule, sampler and guidance, in the order in which A1111 comes to them."""
    sampler, schedule = resolve(request.sampler, schedule_type(request))
    found: dict[str, object] = {}
    if request.emphasis is not EmphasisMode.ORIGINAL and any(
        mark in request.prompt + request.negative_prompt for mark in "(["
    ):
        found["Emphasis"] = request.emphasis.value
    if not sampler.by_timestep:
        found |= _of_schedule(request.sampling, sampler, schedule)
    found |= _of_sampler(request.sampling, sampler)
    return found | _of_guidance(request.sampling)


def _tells_ensd(request: TextToImage) -> bool:
    sampler, _ = request.method()
    return sampler.uses_ensd and (not sampler.eta or getattr(request.sampling, sampler.eta) != 0)


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
    if schedule.label == "Beta":
        found["Beta schedule alpha"] = plain(settings.beta_dist_alpha)
        found["Beta schedule beta"] = plain(settings.beta_dist_beta)
    if settings.sgm_noise_multiplier:
        found["SGM noise multiplier"] = True
    return found


def _of_sampler(settings: SamplerSettings, sampler: Sampler) -> dict[str, object]:
    read: dict[str, str] = {}
    if sampler.eta:
        read[sampler.eta] = _ETA_LABELS[sampler.eta]
    if sampler.name in _CHURNED:
        read |= {"s_churn": "Sigma churn", "s_tmin": "Sigma tmin", "s_tmax": "Sigma tmax"}
    if sampler.name in _NOISY:
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
