"""What an infotext asks of a second pass, a refiner and a source, as far as it can be had here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from easel.models import UnknownModel
from easel.remark import remark
from easel.studio.api.requests.soft_inpainting import soft_inpainting
from easel.studio.engine import (
    MAX_SIDE,
    MIN_SIDE,
    HiresFix,
    InvalidRequest,
    UnknownSampler,
    find_upscaler,
    resolve,
)
from easel.studio.engine.imaging import LATENT_UPSCALE_MODES
from easel.studio.infotext_modules import modules_here
from easel.studio.studio import Studio

_SECOND_PASS = "hr_"  # noqa: S105 - the names of fields begin so


def later_passes(studio: Studio, fields: dict[str, Any], tab: str) -> Iterator[str]:
    """Take out of `fields` what is not here or means nothing to `tab`; sentences on it."""
    yield from _checkpoints(studio, fields)
    yield from modules_here(studio.engine.store, fields, "hr_additional_modules")
    yield from _methods(studio, fields)
    hires = fields.get("enable_hr")
    yield from _soft_inpainting(fields, tab)
    if tab == "txt2img" and not hires and "denoising_strength" in fields:
        del fields["denoising_strength"]
        yield remark(
            "infotext_of_picture",
            "It was drawn over another picture, which no infotext holds: send that picture to img2img.",
        )
    if tab == "img2img" and hires:
        _without_second_pass(fields)
        yield remark(
            "infotext_no_second_pass",
            "The second pass of the infotext was left out: img2img has none.",
            about="enable_hr",
        )
    elif hires and not _can_be(fields):
        _without_second_pass(fields)
        yield remark(
            "infotext_second_size",
            "The second pass of the infotext was left out: allowed are sides of {least} to {most}.",
            about="hr_scale",
            least=MIN_SIDE,
            most=MAX_SIDE,
        )


def _soft_inpainting(fields: dict[str, Any], tab: str) -> Iterator[str]:
    """txt2img has no mask, and nothing to say of it."""
    try:
        soft_inpainting(fields.get("alwayson_scripts", {}))
        if tab == "img2img":
            return
    except InvalidRequest as e:
        yield remark("infotext_soft", "Soft inpainting of the infotext was left out: {why}.", why=e)
    fields.pop("alwayson_scripts", None)


def _without_second_pass(fields: dict[str, Any]) -> None:
    for name in [name for name in fields if name.startswith(_SECOND_PASS) or name == "enable_hr"]:
        del fields[name]


def _can_be(fields: dict[str, Any]) -> bool:
    """Whether the second pass's size is one that can be drawn; without the first one's nobody knows."""
    if "width" not in fields or "height" not in fields:
        return False
    hires = HiresFix(
        scale=fields.get("hr_scale", 2.0),
        resize_x=fields.get("hr_resize_x", 0),
        resize_y=fields.get("hr_resize_y", 0),
    )
    return all(MIN_SIDE <= side <= MAX_SIDE for side in hires.size(fields["width"], fields["height"]))


def _checkpoints(studio: Studio, fields: dict[str, Any]) -> Iterator[str]:
    for name in ("hr_checkpoint_name", "refiner_checkpoint"):
        if name not in fields:
            continue
        try:
            fields[name] = studio.engine.store.find_checkpoint(fields[name]).name
        except UnknownModel:
            words = "Checkpoint {name} of the infotext is not here; {field} was left out."
            yield remark("infotext_later_checkpoint", words, about=name, name=fields.pop(name), field=name)


def _methods(studio: Studio, fields: dict[str, Any]) -> Iterator[str]:
    sampler, scheduler = fields.get("hr_sampler_name"), fields.get("hr_scheduler")
    try:
        if sampler or scheduler:
            resolve(sampler or "Euler", scheduler)
    except UnknownSampler:
        method = " ".join(
            str(fields.pop(key)) for key in ("hr_sampler_name", "hr_scheduler") if key in fields
        )
        words = "Sampler {name} of the infotext's second pass is not here; it was left out."
        yield remark("infotext_later_sampler", words, about="hr_scale", name=method)
    upscaler = fields.get("hr_upscaler")
    if upscaler is None or upscaler in LATENT_UPSCALE_MODES:
        return
    try:
        find_upscaler(studio.engine.store, "hr_upscaler", upscaler)
    except InvalidRequest:
        words = "Upscaler {name} of the infotext is not here; Latent was taken."
        yield remark("infotext_upscaler", words, about="hr_upscaler", name=fields.pop("hr_upscaler"))
