"""`POST /sdapi/v1/interrogate`: a picture put into words, as a job of the caller's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from easel.studio.api.errors import RESPONSES, ErrorBody
from easel.studio.api.hanging_up import line_of
from easel.studio.api.requests.fields import Liberal, Text
from easel.studio.api.requests.sent_picture import decoded
from easel.studio.coded_text import CodedText, coded
from easel.studio.drawing_settings import interrogation
from easel.studio.engine import Enlargement, Interrogator, Job, TextToImage
from easel.studio.owner import owner_of
from easel.studio.studio import Studio

# What the networks themselves are called, beside A1111's names.
_NAMES = {"clip": Interrogator.CLIP, "blip": Interrogator.CLIP,
          "deepdanbooru": Interrogator.DEEPDANBOORU, "deepbooru": Interrogator.DEEPDANBOORU}  # fmt: skip
_NOT_THERE: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "No picture, or no such model"}
}


class InterrogateRequest(Liberal):
    """Asks what is in a picture."""

    image: Text | None = Field(None, description="as base64, bare or as a data: URI")
    model: Text = Field("clip", description="clip (BLIP's sentence) or deepdanbooru (tags)")


class InterrogateResponse(BaseModel):
    """What is in it; empty where it was interrupted."""

    caption: str
    comments: list[str] = Field([], description="what is missing for more; only where there is something")
    remarks: list[CodedText] = Field([], description="the same by codes")


def interrogate(studio: Studio) -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/sdapi/v1")

    @routes.post("/interrogate", responses={**RESPONSES, **_NOT_THERE}, response_model_exclude_defaults=True)
    async def ask(asked: InterrogateRequest, request: Request) -> InterrogateResponse:
        """Say what is in a picture: a job as any other, in its turn, ended by `interrupt` and by hanging
        up."""
        if asked.image is None:
            raise HTTPException(404, "Image not found")
        owner = owner_of(request.headers)
        options = await asyncio.to_thread(studio.options.read, owner)
        async with line_of(request) as line:
            job = await asyncio.to_thread(_submitted, studio, owner, asked, options)
            try:
                await line.ended([job])
            finally:
                job.cancel()
        job.result(timeout=0)
        return InterrogateResponse(caption=job.words, comments=[*job.notes], remarks=coded(job.notes))

    return routes


def _submitted(studio: Studio, owner: str, asked: InterrogateRequest, options: Mapping[str, Any]) -> Job:
    file, (width, height) = decoded(asked.image or "", "image")
    by = _NAMES.get(asked.model.strip().lower())
    if by is None:
        raise HTTPException(404, "Model not found")
    wanted = Enlargement(
        image=file, width=width, height=height, upscaler="None", interrogation=interrogation(options, by)
    )
    job = studio.engine.submit(owner, TextToImage(enlargement=wanted))
    studio.tasks.name(job)
    return job
