"""`POST /sdapi/v1/txt2img` and `/sdapi/v1/img2img`."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.studio.api.drawn_request import DrawnRequest, drawn
from easel.studio.api.errors import RESPONSES, ErrorBody
from easel.studio.api.generation_info import information
from easel.studio.api.hanging_up import nobody
from easel.studio.api.jobs.accepting import accepted, wants_async
from easel.studio.api.jobs.async_jobs import AsyncJobs
from easel.studio.api.requests.answer_format import AnswerFormat
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.ordering import SubmittedRequest
from easel.studio.api.requests.text_to_image_request import TextToImageRequest
from easel.studio.api.strict_json import dumps
from easel.studio.studio import Studio

_WITH_SOURCE = {**RESPONSES, 404: {"model": ErrorBody, "description": "There is no init image"}}


class TextToImageResponse(BaseModel):
    """The pictures in order, grids first; each carries its infotext."""

    images: list[str] = Field(description="files as bare base64: PNG, or what `samples_format` says")
    parameters: dict[str, Any] = Field(description="the request as it was understood")
    info: str = Field(description="JSON in a string: seeds, infotexts and what else there is to say")


def drawing(studio: Studio, jobs: AsyncJobs) -> APIRouter:
    """The routes that draw."""
    routes = APIRouter()

    @routes.post("/sdapi/v1/txt2img", response_model=TextToImageResponse, responses=RESPONSES)
    async def text_to_image(asked: TextToImageRequest, request: Request) -> Response:
        """Draw, and answer when all pictures are there. Hanging up, or `interrupt`, stops the drawing.
        With `Prefer: respond-async` the answer is 202 with a ticket, and nothing but `/jobs` stops it."""
        if wants_async(request):
            return await accepted(jobs, "txt2img", asked, request)
        return await _answer(studio, asked, request)

    @routes.post("/sdapi/v1/img2img", response_model=TextToImageResponse, responses=_WITH_SOURCE)
    async def image_to_image(asked: ImageToImageRequest, request: Request) -> Response:
        """Draw over pictures, all of them or where a mask says so, and answer as txt2img does."""
        if wants_async(request):
            return await accepted(jobs, "img2img", asked, request)
        return await _answer(studio, asked, request)

    return routes


async def _answer(studio: Studio, asked: DrawingRequest, request: Request) -> Response:
    async with drawn(studio, asked, request) as done:
        files = await asyncio.to_thread(_files, studio, done)
        files += await asyncio.to_thread(_detected_maps, done.submitted)
    # Of one request what it was understood as; of a script what was sent, for its requests differ.
    understood = done.first.body if len(done.submitted) == 1 else done.body
    return _response(
        files if done.body.send_images else [],
        {**understood.echo(), "override_settings": asked.override_settings},
        information(done.first, done.result, done.notes, done.started),
    )


def _files(studio: Studio, done: DrawnRequest) -> list[bytes]:
    """The files to send, after those to keep are kept. Raises NotSaved."""
    body, result = done.first.body, done.result
    how = AnswerFormat.of(done.first.settings)
    keep = how.keeps and body.save_images and not body.do_not_save_samples
    files = [how.file(grid.image, grid.text, kept=False)[0] for grid in result.grids]
    for picture in result.drawn if keep or result.send_drawn else ():
        if done.line.gone:
            raise nobody()
        file, ending = how.file(picture.image, picture.text, kept=keep)
        if keep:
            studio.outputs.save(done.owner, file, picture.drawn.seed, ending=ending)
        if result.send_drawn:
            files.append(file)
    return files


def _detected_maps(submitted: list[SubmittedRequest]) -> list[bytes]:
    """What the controls were shown, behind the pictures as the extension sends it; not of a script."""
    if len(submitted) > 1:
        return []
    how = AnswerFormat.of(submitted[0].settings)
    maps = [one.map for one in submitted[0].job.controls if one.unit.show_map]
    return [how.file(one, "", kept=False)[0] for one in maps]


def _response(files: list[bytes], echo: dict[str, Any], info: dict[str, Any]) -> Response:
    # Put together by hand: base64 needs no escaping, and pictures are most of the answer.
    images = b",".join(b'"' + base64.b64encode(file) + b'"' for file in files)
    info_text = dumps(dumps(info).decode())
    body = b"".join([b'{"images":[', images, b'],"parameters":', dumps(echo), b',"info":', info_text, b"}"])
    return Response(body, media_type="application/json")
