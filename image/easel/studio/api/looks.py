"""Looks of styles and presets over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from starlette.responses import Response

from easel.studio.gallery import NoSuchPicture, PictureId
from easel.studio.looks import Looks
from easel.studio.studio import Studio

LOOK: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}},
}


def keep_look(studio: Studio, owner: str, looks: Looks, name: str, picture: str) -> None:
    """Let `name` look like one of the owner's pictures. Raises BadPictureId, NoSuchPicture, NotSaved."""
    path = studio.gallery.pictures.find(owner, PictureId.parse(picture))
    try:
        looks.keep(name, path)
    except (OSError, ValueError):
        raise NoSuchPicture(f"{path.name} cannot be read") from None


def look_reply(looks: Looks, key: str) -> Response:
    """The file of a look. 404 where there is none."""
    content = looks.file(key)
    if content is None:
        raise HTTPException(404, "Not Found")
    # Its address names its time.
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(content, 200, headers, "image/webp")
