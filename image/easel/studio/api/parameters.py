"""What a picture or a text says of how to draw it, as a request that can be sent here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.responses import Response

from easel.remark import remark
from easel.studio.api.gallery import REFUSED, Day, Name
from easel.studio.api.requests.detailer_infotext import detailer_script, detailer_units
from easel.studio.api.requests.fields import Text
from easel.studio.api.strict_json import reply
from easel.studio.coded_text import CodedText, coded
from easel.studio.gallery import NoSuchPicture, PictureId
from easel.studio.infotext import MAX_INFOTEXT, parse
from easel.studio.infotext_request import request_from_infotext
from easel.studio.owner import owner_of
from easel.studio.png import NotAPicture, read_texts
from easel.studio.studio import Studio


class TextRequest(BaseModel):
    """Asks what a text means."""

    text: Text = Field(max_length=MAX_INFOTEXT, description="an infotext")


class Parameters(BaseModel):
    """`request` is empty where there are no parameters."""

    text: str = Field(description="the infotext as it stands in the file")
    request: dict[str, Any] = Field(description="fields of A1111's txt2img, as far as they can be had here")
    notes: list[str] = Field(description="sentences on what was left out, and why")
    remarks: list[CodedText] = Field([], description="the same by codes")


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": TextRequest.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["picture"],
                    "properties": {"picture": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


def parameters(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio", responses=REFUSED)

    @routes.get("/gallery/parameters/{day}/{name}", response_model=Parameters)
    async def saved(request: Request, day: Day, name: Name) -> Response:
        """What one of the caller's pictures was drawn from."""
        id, owner = PictureId.of(day, name), owner_of(request.headers)
        path = await asyncio.to_thread(studio.gallery.pictures.find, owner, id)
        return reply(await asyncio.to_thread(file_parameters, studio, path, owner))

    @routes.post("/parameters", response_model=Parameters, openapi_extra=_BODY)
    async def sent(request: Request) -> Response:
        """What a text, or a picture sent as a file, says of how to draw it. Nothing is kept."""
        owner = owner_of(request.headers)
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            file = await _picture(request)
            try:
                text = await asyncio.to_thread(_text_of, file)
            except NotAPicture as error:
                error.field = "picture"
                raise
            return reply(await asyncio.to_thread(_understood, studio, text, owner))
        try:
            asked = TextRequest.model_validate_json(await request.body())
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False)
            raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in faults]) from None
        return reply(await asyncio.to_thread(_understood, studio, asked.text, owner))

    return routes


def file_parameters(studio: Studio, path: Path, owner: str) -> dict[str, Any]:
    """Of a picture that the caller, `owner`, may see. Raises NoSuchPicture, NotAPicture."""
    try:
        file = path.read_bytes()
    except OSError:
        raise NoSuchPicture(f"{path.name} was taken away just now") from None
    return _understood(studio, _text_of(file), owner)


async def _picture(request: Request) -> bytes:
    async with request.form(max_files=1, max_fields=10) as form:
        sent = form.get("picture")
        if not isinstance(sent, UploadFile):
            missing = {"type": "missing", "loc": ("body", "picture"), "msg": "send it as a file"}
            raise RequestValidationError([missing])
        return await sent.read()


def _text_of(file: bytes) -> str:
    return read_texts(file).get("parameters", "")


def _understood(studio: Studio, text: str, owner: str) -> dict[str, Any]:
    found = parse(text)
    if not found.parameters:
        return _said(text, {}, [remark("no_parameters", "There are no generation parameters in it.")])
    units, found = detailer_units(found)
    request, notes = request_from_infotext(studio, found, own=studio.options.read(owner))
    if units:
        request["alwayson_scripts"] = {**request.get("alwayson_scripts", {}), **detailer_script(units)}
    return _said(text, request, notes)


def _said(text: str, request: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    remarks = [one.model_dump() for one in coded(notes)]
    return {"text": text, "request": request, "notes": notes, "remarks": remarks}
