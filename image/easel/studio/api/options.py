"""A1111's options: the caller's own defaults."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from easel.models import UnknownModel
from easel.studio.api.errors import RESPONSES
from easel.studio.api.wire import reply
from easel.studio.engine import InvalidRequest, NoCheckpoint
from easel.studio.owner import owner_of
from easel.studio.settings import clip_skip, name_in
from easel.studio.studio import Studio

# What is so here and cannot be set, under A1111's keys: clients read them.
_FACTS: dict[str, Any] = {
    "samples_save": True,
    "samples_format": "png",
    "grid_save": False,
    "return_grid": False,
    "enable_pnginfo": True,
    "randn_source": "CPU",
    "eta_noise_seed_delta": 0,
    "token_merging_ratio": 0.0,
    "live_previews_enable": True,
    "live_previews_image_format": "png",
    "show_progress_every_n_steps": 1,
}


def options(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/sdapi/v1/options")
    def get_options(request: Request) -> Response:
        """The caller's options; those never set have the studio's own values."""
        return reply(current(studio, owner_of(request.headers)))

    @routes.post("/sdapi/v1/options", responses=RESPONSES)
    async def set_options(
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
        await asyncio.to_thread(_set, studio, owner, values)
        return reply(None)

    return routes


def current(studio: Studio, owner: str) -> dict[str, Any]:
    """All options as `owner` sees them."""
    try:
        checkpoint = studio.checkpoint(owner)
        title, sha256 = checkpoint.title, checkpoint.sha256
    except (NoCheckpoint, UnknownModel):
        title, sha256 = None, ""
    own = studio.defaults.read(owner)
    shown = {"sd_vae": "Automatic", "CLIP_stop_at_last_layers": 1, **_FACTS, **own}
    # A file's title gains its hash once that is known; what is shown is always today's title.
    return {
        **shown,
        "sd_model_checkpoint": title or own.get("sd_model_checkpoint"),
        "sd_checkpoint_hash": sha256,
    }


def _set(studio: Studio, owner: str, values: dict[str, Any]) -> None:
    before = current(studio, owner)
    changed = {key: value for key, value in values.items() if key not in before or before[key] != value}
    checkpoint = name_in(changed, "sd_model_checkpoint")
    if checkpoint is not None:
        # The file's name, not its title: the title changes when the hash becomes known.
        chosen = studio.engine.store.find_checkpoint(checkpoint)
        changed["sd_model_checkpoint"] = chosen.name
        studio.engine.prefetch(owner, chosen)
    vae = name_in(changed, "sd_vae")
    if vae is not None:
        changed["sd_vae"] = studio.engine.store.find_vae(vae).name
    layers = clip_skip(changed)
    if not 1 <= layers <= 12:
        raise InvalidRequest("CLIP_stop_at_last_layers", layers, "1 to 12")
    changed.pop("sd_checkpoint_hash", None)
    for key in _FACTS:
        changed.pop(key, None)
    if changed:
        studio.defaults.update(owner, changed)
