"""`POST /sdapi/v1/extra-single-image` and `/extra-batch-images`: pictures made larger, and nothing drawn."""

from __future__ import annotations

import asyncio
import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.studio.api.errors import RESPONSES
from easel.studio.api.hanging_up import line_of
from easel.studio.api.png_info import NOT_ITEMS
from easel.studio.api.requests.answer_format import AnswerFormat
from easel.studio.api.requests.fields import Liberal, Text, WholeNumber
from easel.studio.api.requests.sent_picture import decoded
from easel.studio.api.strict_json import reply
from easel.studio.drawing_settings import upscaler_tiles
from easel.studio.engine import (
    Enlargement,
    FaceRestoration,
    Job,
    TextToImage,
    TooMuchWork,
    find_face_files,
    find_upscaler,
)
from easel.studio.infotext import quote
from easel.studio.owner import owner_of
from easel.studio.png import from_base64, read_texts
from easel.studio.studio import Studio

if TYPE_CHECKING:
    from PIL.Image import Image

_MILLION = 1_000_000
_INTERRUPTED = "Interrupted."
# Not texts of the picture, and what becomes of "parameters" is said where the file is written.
_FACTS = NOT_ITEMS - {"parameters"}


class ExtrasRequest(Liberal):
    """What A1111's extras have in common. Fields not listed here are passed over."""

    resize_mode: WholeNumber = Field(
        0, ge=0, le=1, description="0: by upscaling_resize; 1: to upscaling_resize_w and _h"
    )
    show_extras_results: bool = Field(True, description="taken: an answer has its pictures, as A1111's has")
    gfpgan_visibility: float = Field(
        0, ge=0, le=1, description="how much of restored faces is seen; behind the upscaler"
    )
    codeformer_visibility: float = Field(0, ge=0, le=1, description="the same; by GFPGAN, and told")
    codeformer_weight: float = Field(0, ge=0, le=1, description="taken: there is no CodeFormer")
    upscaling_resize: float = Field(2, gt=0, description="how many times larger, up to 16")
    upscaling_resize_w: WholeNumber = Field(512, ge=1, description="pixels")
    upscaling_resize_h: WholeNumber = Field(512, ge=1, description="pixels")
    upscaling_crop: bool = Field(True, description="with resize_mode 1: cut off what sticks out")
    upscaler_1: Text = Field(
        "None", description="a name of /sdapi/v1/upscalers; None leaves the picture as it is"
    )
    upscaler_2: Text = Field("None", description="another one, whose picture is laid over the first one's")
    extras_upscaler_2_visibility: float = Field(0, ge=0, le=1)
    upscale_first: bool = Field(False, description="taken: it is always first, as in A1111 1.10")

    @property
    def faces(self) -> FaceRestoration | None:
        """What faces are to be restored by."""
        if self.gfpgan_visibility:
            return FaceRestoration(model="GFPGAN", visibility=self.gfpgan_visibility)
        if self.codeformer_visibility:
            return FaceRestoration(model="CodeFormer", visibility=self.codeformer_visibility)
        return None


class ExtrasSingleRequest(ExtrasRequest):
    """One picture to make larger."""

    image: Text = Field("", description="base64, bare or as a data: URI")


class FileData(Liberal):
    """One picture of many."""

    data: Text = Field(description="base64, bare or as a data: URI")
    name: Text = ""


class ExtrasBatchRequest(ExtrasRequest):
    """Pictures to make larger."""

    imageList: list[FileData] = Field(description="the pictures")


class ExtrasSingleResponse(BaseModel):
    """`image` is null where it was interrupted."""

    html_info: str = Field(description="what was done, as the file's `postprocessing` says too")
    image: str | None = Field(None, description="a file as bare base64: PNG, or what `samples_format` says")


class ExtrasBatchResponse(BaseModel):
    """Where it was interrupted, pictures at the end are missing."""

    html_info: str
    images: list[str]


@dataclass(frozen=True)
class _Sent:
    """A picture that came: its file, its size in pixels, and the texts in it."""

    file: bytes
    size: tuple[int, int]
    texts: Mapping[str, str]

    @property
    def image(self) -> Image:
        """Opened."""
        from PIL import Image as pillow

        return pillow.open(io.BytesIO(self.file))


def extras(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/sdapi/v1")

    @routes.post("/extra-single-image", response_model=ExtrasSingleResponse, responses=RESPONSES)
    async def single(asked: ExtrasSingleRequest, request: Request) -> Response:
        """Make a picture larger: a job as any other, in its turn, ended by `interrupt` and by hanging up."""
        files, words = await _made(studio, asked, [("image", asked.image)], request)
        return reply({"html_info": words, "image": files[0] if files else None})

    @routes.post("/extra-batch-images", response_model=ExtrasBatchResponse, responses=RESPONSES)
    async def batch(asked: ExtrasBatchRequest, request: Request) -> Response:
        """Make pictures larger, each a job of its own."""
        sent = [("imageList", one.data) for one in asked.imageList]
        files, words = await _made(studio, asked, sent, request)
        return reply({"html_info": words, "images": files})

    return routes


async def _made(
    studio: Studio, asked: ExtrasRequest, sent: list[tuple[str, str]], request: Request
) -> tuple[list[str], str]:
    """The files as base64, and `html_info`."""
    owner = owner_of(request.headers)
    own = await asyncio.to_thread(studio.options.read, owner)
    how, tiles = AnswerFormat.of(own), upscaler_tiles(own)
    pictures = await asyncio.to_thread(lambda: [_read(field, text) for field, text in sent])
    asked = await asyncio.to_thread(_named, studio, asked)
    faces, told = await asyncio.to_thread(_restored_by, studio, asked)
    if asked.upscaler_1 == "None" and faces is None:
        files = await asyncio.to_thread(lambda: [_file(how, one.image, one, "") for one in pictures])
        return files, _html("", told)
    requests = [
        TextToImage(
            enlargement=replace(_enlargement(asked, one), faces=faces), upscaler_tiles=tiles
        ).resolved()
        for one in pictures
    ]
    jobs: list[Job] = []
    async with line_of(request) as line:
        try:
            await asyncio.to_thread(_submit, studio, owner, requests, jobs)
            await line.ended(jobs)
            drawn = [job.result(timeout=0) for job in jobs]
        finally:
            for job in jobs:
                job.cancel()
    info = _info(asked, faces)
    files = await asyncio.to_thread(
        lambda: [
            _file(how, found[0].image, one, info) for one, found in zip(pictures, drawn, strict=True) if found
        ]
    )
    if len(files) < len(pictures):
        told.append(_INTERRUPTED)
    return files, _html(info, told)


def _restored_by(studio: Studio, asked: ExtrasRequest) -> tuple[FaceRestoration | None, list[str]]:
    """What restores faces here, None where nothing does or is asked to; and what there is to say of it."""
    if asked.faces is None:
        return None, []
    files, note = find_face_files(studio.engine.store, asked.faces)
    found = replace(asked.faces, model=files.name) if files else None
    both = asked.gfpgan_visibility and asked.codeformer_visibility
    told = [note, "CodeFormer was passed over: one restorer is enough." if both else ""]
    return found, [words for words in told if words]


def _read(field: str, text: str) -> _Sent:
    """A picture of the request, with what it says of itself. Raises BadPicture."""
    file, size = decoded(text, field)
    texts = {key: value for key, value in read_texts(from_base64(text)).items() if key not in _FACTS}
    return _Sent(file, size, texts)


def _named(studio: Studio, asked: ExtrasRequest) -> ExtrasRequest:
    """The request with its upscalers by the names that infotexts have. Raises InvalidRequest."""
    fields = ("upscaler_1", "upscaler_2")
    names = {name: getattr(asked, name).strip() or "None" for name in fields}
    store = studio.engine.store
    return asked.model_copy(
        update={field: find_upscaler(store, field, name).name for field, name in names.items()}
    )


def _enlargement(asked: ExtrasRequest, sent: _Sent) -> Enlargement:
    return Enlargement(
        image=sent.file,
        width=sent.size[0],
        height=sent.size[1],
        upscaler=asked.upscaler_1,
        factor=asked.upscaling_resize,
        cover=(asked.upscaling_resize_w, asked.upscaling_resize_h) if asked.resize_mode else None,
        crop=asked.upscaling_crop,
        second_upscaler=asked.upscaler_2,
        second_share=asked.extras_upscaler_2_visibility,
    )


def _submit(studio: Studio, owner: str, requests: list[TextToImage], jobs: list[Job]) -> None:
    """Hand all of them over, into `jobs`: those that are there when one is refused are the caller's to end.

    Raises what `Engine.submit` raises, and TooMuchWork for more than memory should hold until the answer.
    """
    megapixels = sum(one.passes()[-1].width * one.passes()[-1].height for one in requests) / _MILLION
    most = studio.engine.limits.pixels_per_request
    if megapixels > most and len(requests) > 1:
        raise TooMuchWork(
            "imageList",
            f"{len(requests)} pictures become {megapixels:,.0f} megapixels, which must be in memory until "
            f"the last is made; one request may ask for {most:,g}. Send fewer at a time",
        )
    for one in requests:
        job = studio.engine.submit(owner, one)
        studio.tasks.name(job, before=tuple(jobs))
        jobs.append(job)


def _info(asked: ExtrasRequest, faces: FaceRestoration | None) -> str:
    """What was done, as A1111 says it."""
    said = _of_upscaling(asked) if asked.upscaler_1 != "None" else {}
    if faces is not None:
        said[f"{faces.model} visibility"] = round(faces.visibility, 3)
    return ", ".join(f"{key}: {quote(value)}" for key, value in said.items())


def _of_upscaling(asked: ExtrasRequest) -> dict[str, object]:
    said: dict[str, object] = {"Postprocess upscale by": asked.upscaling_resize}
    if asked.resize_mode:
        size = f"{asked.upscaling_resize_w}x{asked.upscaling_resize_h}"
        said = {"Postprocess upscale to": size}
        if asked.upscaling_crop:
            said["Postprocess crop to"] = size
    said["Postprocess upscaler"] = asked.upscaler_1
    if asked.upscaler_2 != "None" and asked.extras_upscaler_2_visibility:
        said["Postprocess upscaler 2"] = asked.upscaler_2
    return said


def _file(how: AnswerFormat, image: Image, sent: _Sent, info: str) -> str:
    """The file in base64: what the picture said of itself, and what was done to it."""
    others = {**sent.texts, "postprocessing": info}
    parameters = others.pop("parameters", "")
    return base64.b64encode(how.file(image, parameters, kept=False, others=others)[0]).decode()


def _html(info: str, told: list[str]) -> str:
    """A1111's paragraph, and one for each sentence more."""
    return "".join(f"<p>{html.escape(words)}</p>" for words in (info, *told))
