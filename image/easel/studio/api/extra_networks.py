"""`/sd_extra_networks/…`: what A1111's page shows of LoRAs, embeddings and checkpoints on their cards."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from html import escape
from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.models import Kind, ModelFile
from easel.studio.api.errors import RESPONSES, ErrorBody
from easel.studio.api.networks import metadata_of, preview_of_file, small_jpeg
from easel.studio.api.strict_json import reply
from easel.studio.studio import Studio

# A1111's names of its pages.
_PAGES = {
    "lora": Kind.LORA,
    "textual inversion": Kind.EMBEDDING,
    "hypernetworks": Kind.HYPERNETWORK,
    "checkpoints": Kind.CHECKPOINT,
}
_COVERS = "ssmd_cover_images"
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".preview")
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
    404: {"model": ErrorBody, "description": "There is none"},
    422: RESPONSES[422],
}
_MISSING: dict[int | str, dict[str, Any]] = {404: _PICTURE[404], 422: RESPONSES[422]}
Page = Annotated[str, Query(description="lora, textual inversion, hypernetworks or checkpoints")]
Item = Annotated[str, Query(description="a file's name without folders and ending")]


class CardMetadata(BaseModel):
    """Empty where a file says nothing."""

    metadata: str | None = Field(None, description="JSON in a string, without cover images")


class CardHtml(BaseModel):
    """A card."""

    html: str


def extra_networks(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/sd_extra_networks")
    _pictures(routes, studio)
    _texts(routes, studio)
    return routes


def _pictures(routes: APIRouter, studio: Studio) -> None:
    @routes.get("/thumb", response_class=Response, responses=_PICTURE)
    def thumb(
        filename: Annotated[
            str, Query(description="a model's path as the lists give it, or its picture's")
        ] = "",
    ) -> Response:
        """The picture beside a model, small."""
        wanted = _bare(filename)
        file = next((one for one in _all(studio) if _bare(f"{one.kind.folder}/{one.name}") == wanted), None)
        return _answer(preview_of_file(file) if file else None)

    @routes.get("/cover-images", response_class=Response, responses=_PICTURE)
    def cover_images(page: Page = "", item: Item = "", index: int = 0) -> Response:
        """A picture that a file carries in its own metadata, small."""
        file = _file(studio, page, item)
        covers = metadata_of(file).get(_COVERS) if file else None
        if not isinstance(covers, list) or not 0 <= index < len(covers):
            raise HTTPException(404, "File not found")
        try:
            data = base64.b64decode(str(covers[index]), validate=False)
        except (binascii.Error, ValueError) as e:
            raise HTTPException(404, f"cover image {index} of this file is not base64") from e
        return _answer(small_jpeg(BytesIO(data)))


def _texts(routes: APIRouter, studio: Studio) -> None:
    @routes.get("/metadata", response_model=CardMetadata)
    def metadata(page: Page = "", item: Item = "") -> Response:
        """What a file says of its training; nothing for one that is not there, as in A1111."""
        file = _file(studio, page, item)
        said = {key: value for key, value in metadata_of(file).items() if key != _COVERS} if file else {}
        return reply({"metadata": json.dumps(said, indent=4, ensure_ascii=False)} if said else {})

    @routes.get("/get-single-card", response_model=CardHtml, responses=_MISSING)
    def get_single_card(page: Page = "", tabname: str = "", name: Item = "") -> Response:
        """A model's card."""
        file = _file(studio, page, name)
        if file is None:
            raise HTTPException(404, "File not found")
        path, shown = escape(f"{file.kind.folder}/{file.name}"), escape(file.stem)
        name_of = f'<span class="name">{shown}</span>'
        return reply({"html": f'<div class="card" data-name="{shown}" data-path="{path}">{name_of}</div>'})


def _all(studio: Studio) -> Iterator[ModelFile]:
    for kind in Kind:
        yield from studio.engine.store.files(kind)


def _file(studio: Studio, page: str, item: str) -> ModelFile | None:
    kind = _PAGES.get(page.strip().lower())
    files = studio.engine.store.files(kind) if kind else ()
    return next((one for one in files if item in (one.stem, one.name)), None)


def _bare(path: str) -> str:
    """A path without the endings of models and of their pictures. It is compared, and never opened."""
    path = path.strip().lstrip("/")
    for ending in (*_PICTURES, ".safetensors", ".pt", ".pth", ".bin", ".ckpt"):
        path = path.removesuffix(ending)
    return path.removesuffix(".preview")


def _answer(picture: bytes | None) -> Response:
    if picture is None:
        raise HTTPException(404, "File not found")
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})
