"""A1111's options: the caller's own defaults."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from easel.models import ModelError, UnknownModel
from easel.studio import allowed
from easel.studio.api.errors import RESPONSES
from easel.studio.api.requests.answer_format import AnswerFormat
from easel.studio.api.requests.options_table import OPTIONS
from easel.studio.api.requests.source_options import check_source_options
from easel.studio.api.strict_json import dumps, reply
from easel.studio.drawing_settings import drawing_fields
from easel.studio.engine import InvalidRequest, NoCheckpoint, TextToImage, find_part, find_upscaler
from easel.studio.owner import owner_of
from easel.studio.settings import clip_skip, modules_in, name_in, vae_in, yes_in
from easel.studio.studio import Studio

log = structlog.get_logger(__name__)

NOTES_HEADER = "X-Easel-Notes"


def options(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/sdapi/v1/options")
    def get_options(request: Request) -> Response:
        """The caller's options under all of A1111's names; those never set have the studio's own values."""
        return reply(current(studio, owner_of(request.headers)))

    @routes.post("/sdapi/v1/options", responses=RESPONSES)
    async def set_caller_options(
        request: Request,
        values: Annotated[
            dict[str, Any],
            Body(
                description="any options; keys that nobody knows are kept and come back",
                examples=[
                    {"sd_model_checkpoint": "easel-starter.safetensors", "CLIP_stop_at_last_layers": 1}
                ],
            ),
        ],
    ) -> Response:
        """Set the caller's options, nobody else's. The whole answer of GET may be sent back."""
        owner = owner_of(request.headers)
        notes = await asyncio.to_thread(set_options, studio, owner, values)
        # A1111's answer is null, which has no room for words.
        return reply(None, headers={NOTES_HEADER: dumps(notes).decode()} if notes else None)

    return routes


def current(studio: Studio, owner: str) -> dict[str, Any]:
    """All options as `owner` sees them."""
    own = studio.options.read(owner)
    shown = {name: option.value for name, option in OPTIONS.items()}
    shown |= {name: value for name, value in own.items() if name not in OPTIONS or OPTIONS[name].settable}
    try:
        checkpoint = studio.checkpoint(owner)
    except (NoCheckpoint, UnknownModel):
        return shown
    # A file's title gains its hash once that is known; what is shown is always today's title.
    return {**shown, "sd_model_checkpoint": checkpoint.title, "sd_checkpoint_hash": checkpoint.sha256}


def set_options(studio: Studio, owner: str, values: dict[str, Any]) -> list[str]:
    """Set options of `owner` by the table's rules, all of them or none; sentences on those not followed.

    Raises Unsupported, InvalidRequest, UnknownModel, TooMany and NotSaved.
    """
    before = current(studio, owner)
    changed = {key: value for key, value in values.items() if key not in before or before[key] != value}
    notes = []
    for key in list(changed):
        if key not in OPTIONS or OPTIONS[key].settable:
            continue
        if words := OPTIONS[key].told(changed.pop(key)):
            notes.append(words)
    _check(changed)
    checkpoint = name_in(changed, "sd_model_checkpoint")
    if checkpoint is not None:
        # The file's name, not its title: the title changes when the hash becomes known.
        chosen = studio.engine.store.find_checkpoint(checkpoint)
        changed["sd_model_checkpoint"] = chosen.name
        with suppress(ModelError):  # of what is no longer here, which drawing says
            studio.engine.prefetch(owner, chosen, modules_in({**before, **changed}))
    vae = name_in(changed, "sd_vae")
    if vae is not None:
        changed["sd_vae"] = studio.engine.store.find_vae(vae).name
    if changed.get("forge_additional_modules") is not None:
        parts = [find_part(studio.engine.store, name) for name in modules_in(changed)]
        # As /sdapi/v1/sd-modules has them: clients look for these among those.
        changed["forge_additional_modules"] = [one.below_store for one in parts]
    upscaler = name_in(changed, "upscaler_for_img2img")
    if upscaler is not None:
        found = find_upscaler(studio.engine.store, "upscaler_for_img2img", upscaler)
        changed["upscaler_for_img2img"] = found.name
    if changed:
        studio.options.update(owner, changed)
    if notes:
        log.info("options not followed", count=len(notes))
    return notes


def _check(values: dict[str, Any]) -> None:
    """Raises InvalidRequest for a value that nothing could be drawn with."""
    layers = clip_skip(values)
    if not 1 <= layers <= 12:
        raise InvalidRequest("CLIP_stop_at_last_layers", layers, allowed.LAYERS)
    replace(TextToImage(), **drawing_fields(values)).resolved()
    for key in ("enable_prompt_comments", "samples_save", "enable_pnginfo"):
        yes_in(values, key)
    vae_in(values)
    modules_in(values)
    check_source_options(values)
    AnswerFormat.of(values)
    for key in ("extra_options_txt2img", "extra_options_img2img"):
        if not isinstance(values.get(key, []), list):
            raise InvalidRequest(key, values[key], allowed.NAMES)
