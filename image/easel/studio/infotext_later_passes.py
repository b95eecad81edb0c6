"""What an infotext asks of a second pass, a refiner and a source, as far as it can be had here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from easel.models import UnknownModel
from easel.studio.engine import UnknownSampler, resolve
from easel.studio.engine.imaging import LATENT_UPSCALE_MODES, PIXEL_UPSCALERS
from easel.studio.studio import Studio

_SECOND_PASS = "hr_"  # noqa: S105 - the names of fields begin so


def later_passes(studio: Studio, fields: dict[str, Any], tab: str) -> Iterator[str]:
    """Take out of `fields` what is not here or means nothing to `tab`; sentences on it."""
    yield from _checkpoints(studio, fields)
    yield from _methods(fields)
    hires = fields.get("enable_hr")
    if tab == "txt2img" and not hires and "denoising_strength" in fields:
        del fields["denoising_strength"]
        yield ("It was drawn over another picture, which no infotext holds: send that picture to img2img.")
    if tab == "img2img" and hires:
        for name in [name for name in fields if name.startswith(_SECOND_PASS) or name == "enable_hr"]:
            del fields[name]
        yield "The second pass of the infotext was left out: img2img has none."


def _checkpoints(studio: Studio, fields: dict[str, Any]) -> Iterator[str]:
    for name in ("hr_checkpoint_name", "refiner_checkpoint"):
        if name not in fields:
            continue
        try:
            fields[name] = studio.engine.store.find_checkpoint(fields[name]).name
        except UnknownModel:
            yield f"Checkpoint {fields.pop(name)} of the infotext is not here; {name} was left out."


def _methods(fields: dict[str, Any]) -> Iterator[str]:
    sampler, scheduler = fields.get("hr_sampler_name"), fields.get("hr_scheduler")
    try:
        if sampler or scheduler:
            resolve(sampler or "Euler", scheduler)
    except UnknownSampler:
        words = " ".join(str(fields.pop(key)) for key in ("hr_sampler_name", "hr_scheduler") if key in fields)
        yield f"Sampler {words} of the infotext's second pass is not here; it was left out."
    upscaler = fields.get("hr_upscaler")
    if upscaler is not None and upscaler not in {*LATENT_UPSCALE_MODES, *PIXEL_UPSCALERS}:
        yield f"Upscaler {fields.pop('hr_upscaler')} of the infotext is not here; Latent was taken."
