"""What an infotext says of pictures that are drawn over, of a second pass and of a refiner: written and read.

Keys, order and values are A1111's; `Hires CFG Scale` is Forge's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from easel.studio.engine import (
    DEEP,
    ControlledPasses,
    ControlUnit,
    FoundNoise,
    HiresFix,
    ImageToImage,
    Mask,
    MaskedContent,
    TextToImage,
    preprocessor,
)
from easel.studio.engine.imaging import INFOTEXT_KEYS
from easel.studio.infotext_drawing import hires_schedule_type, plain
from easel.studio.infotext_modules import HIRES_MODULE, module_parameters, modules_said

STRENGTH = "Denoising strength"
CACHE = "Cache"
NO_NETWORKS = "Disable extra networks"
NOT_MASKED, ONLY_MASKED = "Inpaint not masked", "Only masked"
SOFT = "Soft inpainting enabled"
KEYS = re.compile(
    r"Denoising strength|Hires (upscale|resize|steps|upscaler|checkpoint|sampler|schedule type|prompt"
    r"|negative prompt|CFG Scale|Module \d+)|Refiner|Refiner switch at|Tiling|Cache|Disable extra networks"
    r"|Mask blur( [xy])?|Mask round|Mask mode"
    r"|Inpaint area|Masked area padding|Masked content|Noise multiplier|Extra noise|Conditional mask weight"
    r"|Soft inpainting .*|Script|[XYZ] (Type|Values)|Fixed [XYZ] Values"
)
_CONTENTS = {one: one.name.lower().replace("_", " ") for one in MaskedContent}
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")


def pass_parameters(request: TextToImage, *, flow: bool = False) -> dict[str, Any]:
    """What there is to say of a request, in A1111's order; nothing of a plain one."""
    said: dict[str, Any] = {}
    if request.tiling:
        said["Tiling"] = True
    if request.cache_every > 1:
        said[CACHE] = DEEP
    if not request.extra_networks:
        said[NO_NETWORKS] = True
    if request.hires:
        said |= _of_hires(request, request.hires, flow=flow)
    if request.refiner:
        said |= {
            "Refiner": request.refiner.checkpoint,
            "Refiner switch at": plain(request.refiner.switch_at),
        }
    if request.source:
        if request.source.mask:
            said |= _of_mask(request.source.mask)
        if request.source.mask_weight != 1:
            said["Conditional mask weight"] = plain(request.source.mask_weight)
        if request.source.noise_multiplier != 1:
            said["Noise multiplier"] = plain(request.source.noise_multiplier)
        if request.source.found_noise:
            said |= _of_found_noise(request.source.found_noise)
        said |= _of_source(request.source)
        if request.sampling.img2img_fix_steps:
            said["Fix steps"] = True
    if (request.source or request.hires) and request.sampling.img2img_extra_noise:
        said["Extra noise"] = plain(request.sampling.img2img_extra_noise)
    return said | {f"ControlNet {number}": _of_control(unit) for number, unit in enumerate(request.controls)}


def strength(request: TextToImage) -> int | float | None:
    """Its denoising strength, None of a request that draws everything anew."""
    part = request.source or request.hires
    return plain(part.denoising_strength) if part else None


def _of_source(source: ImageToImage) -> dict[str, Any]:
    """What A1111 has no label for."""
    said: dict[str, Any] = {}
    if source.color_correction:
        said["Color correction"] = True
    if source.upscaler:
        said["Upscaler for img2img"] = source.upscaler
    if source.background.lower() not in ("#ffffff", "#fff", "white"):
        said["Background color"] = source.background
    return said


def _of_found_noise(found: FoundNoise) -> dict[str, Any]:
    return {
        "Decode prompt": found.prompt,
        "Decode negative prompt": found.negative_prompt,
        "Decode CFG scale": plain(found.cfg_scale),
        "Decode steps": found.steps,
        "Randomness": plain(found.randomness),
        "Sigma Adjustment": found.adjusted,
    }


def _of_hires(request: TextToImage, hires: HiresFix, *, flow: bool) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if hires.checkpoint:
        said["Hires checkpoint"] = hires.checkpoint
    said |= module_parameters(HIRES_MODULE, hires.modules)
    if hires.sampler and hires.sampler != request.sampler:
        said["Hires sampler"] = hires.sampler
    if hires.prompt and hires.prompt != request.prompt:
        said["Hires prompt"] = hires.prompt
    if hires.negative_prompt and hires.negative_prompt != request.negative_prompt:
        said["Hires negative prompt"] = hires.negative_prompt
    if schedule := hires_schedule_type(request, flow=flow):
        said["Hires schedule type"] = schedule
    if hires.cfg_scale is not None and hires.cfg_scale != request.cfg_scale:
        said["Hires CFG Scale"] = plain(hires.cfg_scale)
    if hires.resize_x or hires.resize_y:
        said["Hires resize"] = f"{hires.resize_x}x{hires.resize_y}"
    else:
        said["Hires upscale"] = plain(hires.scale)
    if hires.steps:
        said["Hires steps"] = hires.steps
    said["Hires upscaler"] = hires.upscaler
    return said


def _of_mask(mask: Mask) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if mask.soft:
        said[SOFT] = True
        said |= {INFOTEXT_KEYS[name]: plain(value) for name, value in asdict(mask.soft).items()}
    if mask.invert:
        said["Mask mode"] = NOT_MASKED
    if mask.blur_x == mask.blur_y:
        said["Mask blur"] = mask.blur_x
    else:
        said |= {"Mask blur x": mask.blur_x, "Mask blur y": mask.blur_y}
    if not mask.round_latents and mask.soft is None:
        said["Mask round"] = False
    if mask.only_masked:
        said |= {"Inpaint area": ONLY_MASKED, "Masked area padding": mask.padding}
    if mask.content is not MaskedContent.ORIGINAL:
        said["Masked content"] = _CONTENTS[mask.content]
    return said


def _of_control(unit: ControlUnit) -> str:
    """As A1111's extension writes a unit, and behind that what it leaves out of what a request can say."""
    way = preprocessor(unit.module)
    said = {
        "Module": way.label,
        "Model": unit.model,
        "Weight": plain(unit.weight),
        "Resize Mode": unit.resize_mode.name.replace("_", " ").title().replace(" And ", " and "),
        "Processor Res": unit.resolution,
        "Threshold A": plain(unit.threshold_a),
        "Threshold B": plain(unit.threshold_b),
        "Guidance Start": plain(unit.guidance_start),
        "Guidance End": plain(unit.guidance_end),
        "Pixel Perfect": unit.pixel_perfect,
        "Control Mode": unit.control_mode.value,
    }
    if unit.passes is not ControlledPasses.BOTH:
        said["Hr Option"] = unit.passes.value  # its releases of 2024 say so
    if unit.control_type:
        said["Union Control Type"] = unit.control_type
    if unit.layer_weights:
        said["Advanced Weighting"] = f"({','.join(str(plain(one)) for one in unit.layer_weights)})"
    if not unit.crop_to_mask:
        said["Inpaint Crop Input Image"] = False
    return ", ".join(f"{key}: {value}" for key, value in said.items())


def pass_fields(said: Mapping[str, str]) -> dict[str, Any]:
    """The same as fields of A1111's requests: only what is there and can be read."""
    fields: dict[str, Any] = {}
    for key, name, kind in _FIELDS:
        try:
            fields[name] = kind(said[key])
        except (KeyError, ValueError, OverflowError):
            continue
    if said.get("Tiling") == "True":
        fields["tiling"] = True
    if said.get(CACHE) == DEEP:
        fields["cache"] = DEEP
    if said.get(NO_NETWORKS) == "True":
        fields["disable_extra_networks"] = True
    if "Hires upscale" in said or "Hires resize" in said or "Hires upscaler" in said:
        fields["enable_hr"] = True
        if modules := modules_said(HIRES_MODULE, said):
            fields["hr_additional_modules"] = modules
        if size := _SIZE.fullmatch(said.get("Hires resize", "")):
            fields |= {"hr_resize_x": int(size[1]), "hr_resize_y": int(size[2])}
    if said.get("Mask mode") == NOT_MASKED:
        fields["inpainting_mask_invert"] = 1
    if said.get("Mask round") == "False":
        fields["mask_round"] = False
    if any(key in said for key in ("Mask blur", "Mask blur x", "Inpaint area", "Masked content")):
        contents = {words: one.value for one, words in _CONTENTS.items()}
        fields["inpainting_fill"] = contents.get(said.get("Masked content", ""), MaskedContent.ORIGINAL.value)
        fields["inpaint_full_res"] = said.get("Inpaint area") == ONLY_MASKED
    if said.get(SOFT) == "True":
        fields["alwayson_scripts"] = {"Soft Inpainting": {"args": [True, *_soft(said)]}}
    return fields


def _soft(said: Mapping[str, str]) -> list[float | None]:
    values: list[float | None] = []
    for key in INFOTEXT_KEYS.values():
        try:
            values.append(float(said[key]))
        except (KeyError, ValueError):
            values.append(None)
    return values


def _words(text: str) -> str:
    return text


_FIELDS: tuple[tuple[str, str, Any], ...] = (
    (STRENGTH, "denoising_strength", float),
    ("Hires upscale", "hr_scale", float),
    ("Hires steps", "hr_second_pass_steps", int),
    ("Hires upscaler", "hr_upscaler", _words),
    ("Hires checkpoint", "hr_checkpoint_name", _words),
    ("Hires sampler", "hr_sampler_name", _words),
    ("Hires schedule type", "hr_scheduler", _words),
    ("Hires prompt", "hr_prompt", _words),
    ("Hires negative prompt", "hr_negative_prompt", _words),
    ("Hires CFG Scale", "hr_cfg", float),
    ("Refiner", "refiner_checkpoint", _words),
    ("Refiner switch at", "refiner_switch_at", float),
    ("Mask blur", "mask_blur", int),
    ("Mask blur x", "mask_blur_x", int),
    ("Mask blur y", "mask_blur_y", int),
    ("Masked area padding", "inpaint_full_res_padding", int),
    ("Noise multiplier", "initial_noise_multiplier", float),
)
