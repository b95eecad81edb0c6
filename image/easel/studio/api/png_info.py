"""`POST /sdapi/v1/png-info`: what a picture says about how it was made."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.studio.api.errors import RESPONSES
from easel.studio.api.requests.fields import Liberal
from easel.studio.api.strict_json import reply
from easel.studio.infotext import Infotext, parse
from easel.studio.png import from_base64, read_texts

# Facts about the file, not about the drawing.
NOT_ITEMS = {
    "dpi", "jfif", "jfif_version", "jfif_unit", "jfif_density", "gamma", "transparency", "parameters",
}  # fmt: skip


class PngInfoRequest(Liberal):
    """A picture."""

    image: str = Field(description="a PNG, JPEG or WebP file as base64, bare or as a data: URI")


class PngInfoResponse(BaseModel):
    """Empty where the picture says nothing."""

    info: str = Field(description="the infotext as it stands in the file")
    items: dict[str, Any] = Field(description="the other texts in the file")
    parameters: dict[str, Any] = Field(description="the infotext taken apart")


def png_info() -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.post("/sdapi/v1/png-info", response_model=PngInfoResponse, responses=RESPONSES)
    async def read(asked: PngInfoRequest) -> Response:
        """Read a picture's infotext. Only headers are read, and nothing is kept."""
        texts = await asyncio.to_thread(lambda: read_texts(from_base64(asked.image)))
        text = texts.get("parameters", "")
        items = {key: value for key, value in texts.items() if key not in NOT_ITEMS}
        found = described(parse(text)) if text else {}
        return reply({"info": text, "items": items, "parameters": found})

    return routes


def described(found: Infotext) -> dict[str, Any]:
    """An infotext under A1111's keys: sizes as `Size-1` and `Size-2`, defaults for what is not said."""
    said: dict[str, Any] = {"Prompt": found.prompt, "Negative prompt": found.negative_prompt}
    for key, value in found.parameters.items():
        width, cross, height = value.partition("x")
        if cross and width.isdigit() and height.isdigit():
            said[f"{key}-1"], said[f"{key}-2"] = width, height
        else:
            said[key] = value
    if found.parameters:
        said.setdefault("Clip skip", "1")
        said.setdefault("Schedule type", "Automatic")
        said.setdefault("RNG", "GPU")
    return said
