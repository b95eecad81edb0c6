"""`/studio/gallery`: a person's own pictures, by day, words, stars and boards."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.studio.api.errors import ErrorBody
from easel.studio.api.strict_json import reply
from easel.studio.gallery import Gallery, NoSuchPicture, PictureId, Shown, request_of
from easel.studio.gallery_picture import GalleryPicture, described
from easel.studio.owner import owner_of
from easel.studio.studio import Studio

MOST_AT_ONCE = 10_000
REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "A body that cannot be read"},
    404: {"model": ErrorBody, "description": "The caller has no such picture, board or share"},
    422: {"model": ErrorBody, "description": "What cannot be: an id, a name, more than is kept"},
    503: {"model": ErrorBody, "description": "Another tab is changing the same lists; try again"},
    507: {"model": ErrorBody, "description": "The disk cannot be read or written"},
}
SMALL: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}},
}
# Made by this studio from pixels; whatever it were, it could do nothing. Its address names its time.
_FOR_GOOD = "private, max-age=31536000, immutable"

IdText = Annotated[str, Field(max_length=80, examples=["2026-11-29/00012-123.png"])]
Day = Annotated[str, Path(max_length=20, examples=["2026-11-29"])]
Name = Annotated[str, Path(max_length=60, examples=["00012-123.png"])]


class Pictures(BaseModel):
    """Some of the caller's pictures."""

    pictures: list[IdText] = Field(max_length=MOST_AT_ONCE)

    @property
    def ids(self) -> list[PictureId]:
        """Raises BadPictureId."""
        return [PictureId.parse(one) for one in self.pictures]


class StarRequest(Pictures):
    """Asks to give pictures a star, or to take it."""

    starred: bool


class GalleryPage(BaseModel):
    """Pictures, the newest first."""

    pictures: list[GalleryPicture]
    next: str | None = Field(description="`before` of the next page; null on the last")
    total: int = Field(description="of all pages")


class DeletedPictures(BaseModel):
    """What is gone for good."""

    deleted: list[str]


def gallery(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio/gallery", responses=REFUSED)
    _looks(routes, studio.gallery)
    _changes(routes, studio.gallery)
    return routes


def _looks(routes: APIRouter, gallery: Gallery) -> None:
    @routes.get("", response_model=GalleryPage)
    async def listed(
        request: Request,
        before: Annotated[str | None, Query(max_length=80)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 60,
        q: Annotated[str, Query(max_length=500)] = "",
        starred: bool = False,
        board: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        """The caller's pictures, the newest first; with all words of `q`, with a star, on a board."""
        page = await asyncio.to_thread(
            gallery.page,
            owner_of(request.headers),
            before=PictureId.parse(before) if before else None,
            limit=limit,
            words=q,
            starred=starred,
            board=board,
        )
        pictures = [shown(one).model_dump() for one in page.pictures]
        return reply(
            {"pictures": pictures, "next": str(page.next) if page.next else None, "total": page.total}
        )

    @routes.get("/small/{day}/{name}", response_class=Response, responses=SMALL)
    async def small(request: Request, day: Day, name: Name) -> Response:
        """A small version of one picture, at most 320 pixels a side."""
        id, owner = PictureId.of(day, name), owner_of(request.headers)
        path = await asyncio.to_thread(gallery.pictures.find, owner, id)
        return await small_reply(gallery, path, _FOR_GOOD)

    @routes.get("/request/{day}/{name}", response_model=dict[str, Any])
    async def drawn_from(request: Request, day: Day, name: Name) -> Response:
        """The img2img body that a ticket drew one of the caller's pictures from, with the pictures in it. 404
        where it is not kept: the file itself says the rest."""
        id, owner = PictureId.of(day, name), owner_of(request.headers)
        path = await asyncio.to_thread(gallery.pictures.find, owner, id)
        return reply(await asyncio.to_thread(request_of, path))


def _changes(routes: APIRouter, gallery: Gallery) -> None:
    @routes.post("/star", status_code=204, response_class=Response)
    async def star(request: Request, asked: StarRequest) -> Response:
        """Give pictures a star, or take it. What is gone gets none."""
        await asyncio.to_thread(gallery.star, owner_of(request.headers), asked.ids, asked.starred)
        return Response(status_code=204)

    @routes.post("/delete", response_model=DeletedPictures)
    async def delete(request: Request, asked: Pictures) -> Response:
        """Delete pictures for good, and take them off boards and shares. What is gone already is no fault."""
        went = await asyncio.to_thread(gallery.delete, owner_of(request.headers), asked.ids)
        return reply({"deleted": [str(id) for id in went]})


def shown(one: Shown) -> GalleryPicture:
    """A picture as its owner is told of it."""
    return described(one.id.day, one.entry, starred=one.starred, boards=one.boards)


async def small_reply(gallery: Gallery, path: Any, caching: str) -> Response:
    """The small version of a picture that the caller may see. Raises NoSuchPicture; 422 if it is none."""
    try:
        # Not in a thread that waits: many tiles are asked for at once, and two are made at a time.
        content = await asyncio.wrap_future(gallery.small(path))
    except OSError:
        raise NoSuchPicture(f"{path.name} was taken away just now") from None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return Response(content, 200, {"Cache-Control": caching}, "image/webp")
