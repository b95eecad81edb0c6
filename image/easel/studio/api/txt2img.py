"""`POST /sdapi/v1/txt2img`."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from easel.studio import infotext
from easel.studio.api.errors import RESPONSES
from easel.studio.api.generation_info import information
from easel.studio.api.options import set_options
from easel.studio.api.scripts import scripted
from easel.studio.api.strict_json import dumps
from easel.studio.api.txt2img_request import TextToImageRequest
from easel.studio.checkpoint_defaults import checkpoint_defaults
from easel.studio.completion import finished
from easel.studio.engine import Drawn, Job
from easel.studio.infotext_request import request_from_infotext
from easel.studio.owner import owner_of
from easel.studio.png import SMALL, encode
from easel.studio.settings import name_in, yes_in
from easel.studio.studio import Studio

log = structlog.get_logger(__name__)


class TextToImageResponse(BaseModel):
    """The pictures in order; each PNG carries its infotext as `parameters`."""

    images: list[str] = Field(description="PNG files as bare base64")
    parameters: dict[str, Any] = Field(description="the request as it was understood")
    info: str = Field(description="JSON in a string: seeds, infotexts and what else there is to say")


def drawing(studio: Studio) -> APIRouter:
    """The route that draws."""
    routes = APIRouter()

    @routes.post("/sdapi/v1/txt2img", response_model=TextToImageResponse, responses=RESPONSES)
    async def text_to_image(asked: TextToImageRequest, request: Request) -> Response:
        """Draw, and answer when all pictures are there. Hanging up, or `interrupt`, stops the drawing."""
        owner = owner_of(request.headers)
        started = datetime.now()
        order = await asyncio.to_thread(_order, studio, owner, asked)
        body, job = order.body, order.job
        gone = threading.Event()
        line = asyncio.create_task(_hung_up(request, gone))
        try:
            drawn = await _pictures(job, line)
            pictures = await asyncio.to_thread(_hashed, studio, drawn)
            texts = [infotext.describe(picture) for picture in pictures]
            files = await asyncio.to_thread(_files, studio, owner, pictures, texts, order, gone)
        finally:
            line.cancel()
        log.info(
            "drawn",
            job=job.id,
            pictures=len(pictures),
            state=job.state,
            steps=job.request.steps,
            size=f"{job.request.width}x{job.request.height}",
            sampler=job.request.sampler,
            seconds=round(time.monotonic() - job.submitted, 3),
        )
        return _response(
            files if body.send_images else [],
            {**body.model_dump(), "override_settings": asked.override_settings},
            information(job, pictures, texts, started),
        )

    return routes


@dataclass(frozen=True)
class _Order:
    """A request that is being drawn: as it was understood, and what becomes of its pictures."""

    body: TextToImageRequest
    job: Job
    keep: bool
    signed: bool


def _order(studio: Studio, owner: str, asked: TextToImageRequest) -> _Order:
    own = studio.options.read(owner)
    asked, notes = scripted(asked, own)
    body = asked
    if asked.infotext:
        fields, missing = request_from_infotext(studio, infotext.parse(asked.infotext))
        body = asked.filled(fields)
        notes += missing
    settings, told = body.settings(own)
    body = body.settled(checkpoint_defaults(studio.checkpoint_for(name_in(settings, "sd_model_checkpoint"))))
    request = body.to_engine(settings)
    keep = yes_in(settings, "samples_save") and body.save_images and not body.do_not_save_samples
    signed = yes_in(settings, "enable_pnginfo")
    job = studio.engine.submit(owner, request)
    for words in (*notes, *told, *body.passed_over()):
        job.note(words)
    studio.tasks.name(job, body.force_task_id)
    if body.override_settings and not body.override_settings_restore_afterwards:
        try:
            set_options(studio, owner, body.override_settings)
        except Exception:
            job.cancel()
            raise
    return _Order(body, job, keep, signed)


def _hashed(studio: Studio, pictures: list[Drawn]) -> list[Drawn]:
    return [studio.hashed(picture) for picture in pictures]


async def _pictures(job: Job, line: asyncio.Task[None]) -> list[Drawn]:
    """The job's pictures, or the error that ended it; a client that hangs up cancels."""
    ended = finished(job)
    waits = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({waits, line}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.is_set():
            raise _nobody()
        return job.result(timeout=0)
    finally:
        waits.cancel()
        job.cancel()


async def _hung_up(request: Request, gone: threading.Event) -> None:
    """Ends, and sets `gone`, when the client does not wait for the answer any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()


def _nobody() -> HTTPException:
    return HTTPException(499, "the client hung up")


def _files(
    studio: Studio, owner: str, pictures: list[Drawn], texts: list[str], order: _Order, gone: threading.Event
) -> list[bytes]:
    files = []
    for picture, text in zip(pictures, texts, strict=True):
        if gone.is_set():
            raise _nobody()
        level = {"compress_level": SMALL} if order.keep else {}
        file = encode(picture.image, text if order.signed else "", **level)
        if order.keep:
            studio.outputs.save(owner, file, picture.seed)
        files.append(file)
    return files


def _response(files: list[bytes], echo: dict[str, Any], info: dict[str, Any]) -> Response:
    # Put together by hand: base64 needs no escaping, and pictures are most of the answer.
    images = b",".join(b'"' + base64.b64encode(file) + b'"' for file in files)
    info_text = dumps(dumps(info).decode())
    body = b"".join([b'{"images":[', images, b'],"parameters":', dumps(echo), b',"info":', info_text, b"}"])
    return Response(body, media_type="application/json")
