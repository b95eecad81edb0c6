"""What an infotext asks for, as far as it can be had here: what cannot stops no request and is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from easel.models import ModelFile, UnknownModel
from easel.remark import remark
from easel.studio.api.requests.options_table import options_of_infotext, told_of_infotext
from easel.studio.api.requests.source_options import check_source_options
from easel.studio.drawing_settings import drawing_fields
from easel.studio.engine import (
    MAX_SIDE,
    MAX_STEPS,
    MIN_SIDE,
    InvalidRequest,
    TextToImage,
    UnknownSampler,
    find_upscaler,
    resolve,
)
from easel.studio.infotext import Infotext
from easel.studio.infotext_later_passes import later_passes
from easel.studio.infotext_modules import modules_here
from easel.studio.infotext_silence import silent_options
from easel.studio.settings import is_name
from easel.studio.studio import Studio

COMMENTS = "enable_prompt_comments"
_UPSCALER = "upscaler_for_img2img"
_PROMPTS = ("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt")
_MAX_SEED = 2**63 - 1
# What the engine takes; a text of another program's may say more.
_RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, MAX_STEPS),
    "cfg_scale": (-100, 100),
    "distilled_cfg_scale": (0, 100),
    "width": (MIN_SIDE, MAX_SIDE),
    "height": (MIN_SIDE, MAX_SIDE),
    "seed": (-1, _MAX_SEED),
    "subseed": (-1, _MAX_SEED),
    "subseed_strength": (0, 1),
    "inpaint_full_res_padding": (0, 2048),
    "denoising_strength": (0, 1),
    "hr_scale": (1, 8),
    "hr_second_pass_steps": (0, MAX_STEPS),
    "hr_resize_x": (0, MAX_SIDE),
    "hr_resize_y": (0, MAX_SIDE),
    "refiner_switch_at": (0, 1),
    "mask_blur": (0, 256),
    "mask_blur_x": (0, 256),
    "mask_blur_y": (0, 256),
    "initial_noise_multiplier": (0, 2),
    "seed_resize_from_w": (-1, MAX_SIDE),
    "seed_resize_from_h": (-1, MAX_SIDE),
}


def request_from_infotext(
    studio: Studio, found: Infotext, tab: str = "txt2img", own: Mapping[str, Any] = MappingProxyType({})
) -> tuple[dict[str, Any], list[str]]:
    """Fields of A1111's requests, checkpoint and VAE by the names they have here in `override_settings`; and
    sentences on what is not here or not drawn, which is left out. `tab` is A1111's name of the request, `own`
    are the options of whoever draws it: where the text is silent its own defaults count."""
    fields, notes = found.request(), [*found.passed_over(), *told_of_infotext(found.parameters)]
    settings: dict[str, Any] = fields.pop("override_settings", {})
    for name, (low, high) in _RANGES.items():
        if name in fields and not low <= fields[name] <= high:
            allowed = remark("from_to", "{low} to {high}", low=low, high=high)
            notes.append(_left_out(name, fields.pop(name), allowed))
    drawing, left = _drawing_options(found)
    settings |= drawing
    notes += left
    notes += _method(fields)
    if not 1 <= settings.get("CLIP_stop_at_last_layers", 1) <= 12:
        layers = settings.pop("CLIP_stop_at_last_layers")
        words = "Clip skip {n} of the infotext was left out; allowed: 1 to 12."
        notes.append(remark("infotext_clip_skip", words, about="CLIP_stop_at_last_layers", n=layers))
    if "sd_model_checkpoint" in settings:
        try:
            if file := studio.checkpoint_of(found):
                settings["sd_model_checkpoint"] = file.name
                notes += _another(file, found)
        except UnknownModel:
            name = found.checkpoints[-1]
            del settings["sd_model_checkpoint"]
            words = "Checkpoint {name} of the infotext is not here; it was left as it was."
            notes.append(remark("infotext_checkpoint", words, about="sd_model_checkpoint", name=name))
    if is_name(settings.get("sd_vae")):
        try:
            settings["sd_vae"] = studio.engine.store.find_vae(settings["sd_vae"]).name
        except UnknownModel:
            words = "VAE {name} of the infotext is not here; it was left as it was."
            notes.append(remark("infotext_vae", words, about="sd_vae", name=settings.pop("sd_vae")))
    notes += _upscaler(studio, settings)
    notes += modules_here(studio.engine.store, settings, "forge_additional_modules")
    notes += later_passes(studio, fields, tab)
    if looked := found.parameters.get("Reference images"):
        words = "It was drawn looking at {n} more pictures, which no infotext holds: send them along."
        notes.append(remark("infotext_references", words, about="reference_images", n=looked))
    settings = {**silent_options(found, own), **settings}
    if any("#" in fields.get(name, "") for name in _PROMPTS):
        # comments were taken out before the text was written
        settings[COMMENTS] = False
    return {**fields, "override_settings": settings}, notes


def _drawing_options(found: Infotext) -> tuple[dict[str, str], list[str]]:
    """What it says of noise, sampler and guidance, as options; sentences on what could not be followed."""
    said = options_of_infotext(found.parameters)
    if found.randn_source is not None:
        said["randn_source"] = found.randn_source
    notes = []
    for name, text in list(said.items()):
        try:
            replace(TextToImage(), **drawing_fields({name: text})).resolved()
            check_source_options({name: text})
        except InvalidRequest as e:
            notes.append(_left_out(name, said.pop(name)[:60], e.allowed))
    return said, notes


def _method(fields: dict[str, Any]) -> Iterator[str]:
    """Sampler and schedule type by the names they have here; a sentence where one is not here."""
    said = [key for key in ("sampler_name", "scheduler") if key in fields]
    try:
        if said:
            sampler, schedule = resolve(fields.get("sampler_name", "Euler"), fields.get("scheduler"))
            fields |= {"scheduler": schedule.label}
            fields |= {"sampler_name": sampler.name} if "sampler_name" in said else {}
    except UnknownSampler:
        method = " ".join(str(fields.pop(key)) for key in said)
        words = "Sampler {name} of the infotext is not here; it was left as it was."
        yield remark("infotext_sampler", words, about="sampler_name", name=method)


def _upscaler(studio: Studio, settings: dict[str, Any]) -> Iterator[str]:
    name = settings.get(_UPSCALER)
    try:
        if is_name(name):
            find_upscaler(studio.engine.store, _UPSCALER, str(name))
    except InvalidRequest as e:
        yield _left_out(_UPSCALER, settings.pop(_UPSCALER), e.allowed)


def _another(file: ModelFile, found: Infotext) -> Iterator[str]:
    """A sentence if the infotext was written of another file of this name. Hashes of earlier versions of
    A1111, which have eight digits, are of something else."""
    said = found.parameters.get("Model hash", "").lower()
    if file.hash and len(said) == len(file.hash) and said != file.hash:
        words = "{title} is here; the infotext is of another file of that name, with the hash {hash}."
        yield remark("infotext_other_file", words, about="sd_model_checkpoint", title=file.title, hash=said)


def _left_out(name: str, value: object, allowed: str) -> str:
    words = "{name} {value} of the infotext was left out; allowed: {allowed}."
    return remark("infotext_left_out", words, about=name, name=name, value=value, allowed=allowed)
