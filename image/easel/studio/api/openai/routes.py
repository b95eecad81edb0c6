"""OpenAI's API for pictures: `POST /v1/images/generations`, `POST /v1/images/edits`, `GET /v1/models`.

It is for programs that know no other: requests become A1111's, so that limits, options, fair shares and what
is told of a request are the same for both.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.models import ModelFile
from easel.studio.api.drawn_request import DrawnRequest, drawn
from easel.studio.api.hanging_up import nobody
from easel.studio.api.openai.edit_form import EditForm, EditRequest
from easel.studio.api.openai.errors import OPENAI_RESPONSES, OpenAiRoute
from easel.studio.api.openai.image_request import ImageRequest
from easel.studio.api.requests.answer_format import AnswerFormat
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.refusals import Unsupported
from easel.studio.api.requests.text_to_image_request import TextToImageRequest
from easel.studio.api.strict_json import reply
from easel.studio.owner import HEADER, owner_of
from easel.studio.studio import Studio

_MISSING: dict[int | str, dict[str, Any]] = {404: OPENAI_RESPONSES[404]}
# OpenAI's words for qualities of its older models.
_QUALITY = {"auto": "medium", "standard": "medium", "hd": "high"}


class OpenAiImage(BaseModel):
    """A picture: itself or its address."""

    b64_json: str | None = Field(None, description="the file as bare base64; it carries its infotext")
    url: str | None = Field(
        None, description="where it is, for the same caller by the same way of showing who asks"
    )


class ImagesResponse(BaseModel):
    """The pictures in order."""

    created: int = Field(description="seconds since 1970")
    data: list[OpenAiImage]
    background: str = "opaque"
    output_format: str
    quality: str
    size: str = Field(description="WIDTHxHEIGHT that was asked for, or the checkpoint's own")
    comments: list[str] = Field([], description="Easel's own: what of the request was not followed, and why")


class OpenAiModel(BaseModel):
    """A checkpoint as OpenAI describes a model."""

    id: str
    object: str = "model"
    created: int = Field(description="seconds since 1970, when the file was last changed")
    owned_by: str = "easel"


class OpenAiModels(BaseModel):
    """All of them."""

    object: str = "list"
    data: list[OpenAiModel]


def openai(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", route_class=OpenAiRoute)
    _images(routes, studio)
    _models(routes, studio)
    return routes


def _images(routes: APIRouter, studio: Studio) -> None:
    @routes.post("/images/generations", response_model=ImagesResponse, responses=OPENAI_RESPONSES)
    async def generate_images(asked: ImageRequest, request: Request) -> Response:
        """Draw, as OpenAI's clients ask for it, and answer when all pictures are there."""
        asked.check()
        steps = await asyncio.to_thread(asked.steps, studio, owner_of(request.headers))
        return await _answer(
            studio, asked, asked.a1111(TextToImageRequest, **asked.pixels(), **steps), request
        )

    @routes.post(
        "/images/edits", response_model=ImagesResponse, responses=OPENAI_RESPONSES, openapi_extra=_FORM
    )
    async def edit_image(request: Request) -> Response:
        """Draw over a picture, all of it or where a mask is transparent, as OpenAI's clients ask for it."""
        _check_origin(request)
        form = await EditForm.read(request)
        asked = form.asked
        asked.check()
        steps = await asyncio.to_thread(asked.steps, studio, owner_of(request.headers))
        return await _answer(studio, asked, form.a1111(**asked.pixels(), **steps), request)


def _models(routes: APIRouter, studio: Studio) -> None:
    @routes.get("/models")
    def list_models() -> OpenAiModels:
        """All checkpoints, as OpenAI lists its models."""
        return OpenAiModels(data=[_model(one) for one in studio.engine.store.checkpoints()])

    @routes.get("/models/{name:path}", responses=_MISSING)
    def get_model(name: str) -> OpenAiModel:
        """A checkpoint by any of its names."""
        return _model(studio.engine.store.find_checkpoint(name))


def _model(file: ModelFile) -> OpenAiModel:
    return OpenAiModel(id=file.model_name, created=int(file.mtime))


async def _answer(studio: Studio, asked: ImageRequest, body: DrawingRequest, request: Request) -> Response:
    if asked.by_address:
        await asyncio.to_thread(_check_keeping, studio, body, owner_of(request.headers))
    async with drawn(studio, body, request) as done:
        data = await asyncio.to_thread(_data, studio, asked, done, str(request.base_url))
    understood = done.first.job.request
    answer = ImagesResponse(
        created=int(done.started.timestamp()),
        data=data,
        output_format=asked.output_format,
        quality=_QUALITY.get(asked.quality, asked.quality),
        size=f"{understood.width}x{understood.height}",
        comments=[*asked.passed_over(), *done.notes],
    )
    left_out = {"data": {"__all__": {"b64_json" if asked.by_address else "url"}}}
    return reply(answer.model_dump(exclude=left_out))


def _check_keeping(studio: Studio, body: DrawingRequest, owner: str) -> None:
    """Raise Unsupported where the caller's options keep no picture that an address could lead to."""
    settings, _ = body.settings(studio.options.read(owner))
    if not AnswerFormat.of(settings).keeps:
        raise Unsupported("response_format", "the option samples_save keeps nothing; ask for b64_json")


def _data(studio: Studio, asked: ImageRequest, done: DrawnRequest, base: str) -> list[OpenAiImage]:
    """The pictures, or their addresses once they are kept. Raises NotSaved."""
    how = AnswerFormat.of(done.first.settings)
    result = done.result
    found = []
    for picture in result.listed if result.send_drawn else result.grids:
        if done.line.gone:
            raise nobody()
        file, ending = how.file(picture.image, picture.text, kept=asked.by_address)
        if asked.by_address:
            path = studio.outputs.save(done.owner, file, picture.drawn.seed, ending=ending)
            found.append(OpenAiImage(url=f"{base}files/pictures/{path.parent.name}/{path.name}"))
        else:
            found.append(OpenAiImage(b64_json=base64.b64encode(file).decode()))
    return found


def _check_origin(request: Request) -> None:
    """Raise 403 for a form of a foreign page, which a browser sends without asking first.

    Behind the gateway those have no name; without one everybody is whoever started the studio.
    """
    foreign = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if foreign and HEADER not in request.headers:
        raise HTTPException(403, "this is for programs: pages of other origins send no forms here")


def _form() -> dict[str, Any]:
    """The form's description: FastAPI's own would read the body before its size and numbers are looked at."""
    schema = EditRequest.model_json_schema()
    file = {"type": "string", "format": "binary"}
    files = {
        "image": {
            **file,
            "description": "PNG, JPEG or WebP; clear pixels are drawn anew where there is no mask",
        },
        "image[]": {
            "type": "array",
            "items": file,
            "description": "several: the first is drawn over, FLUX.1 Kontext, FLUX.2 and Qwen-Image-Edit "
            "look at all",
        },
        "mask": {**file, "description": "as large as the picture; drawn anew is where it is transparent"},
    }
    properties = {**files, **schema["properties"]}
    required = ["image", *schema["required"]]
    said = {"type": "object", "properties": properties, "required": required, "title": "EditRequest"}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": said}}}}


_FORM = _form()
