"""`/studio/boards`: pictures that a person put together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.studio.api.errors import ErrorBody
from easel.studio.api.gallery import MOST_AT_ONCE, REFUSED, IdText
from easel.studio.api.requests.fields import Text
from easel.studio.api.strict_json import reply
from easel.studio.gallery import Board, Gallery, PictureId
from easel.studio.gallery_picture import described
from easel.studio.owner import owner_of
from easel.studio.studio import Studio

_REFUSED: dict[int | str, dict[str, Any]] = {
    **REFUSED,
    409: {"model": ErrorBody, "description": "The caller has another board of this name"},
}
BoardId = Annotated[str, Path(max_length=64)]


class BoardName(BaseModel):
    """What a board is called."""

    name: Text = Field(max_length=400)


class BoardChange(BaseModel):
    """Pictures to put on a board, and to take off it."""

    add: list[IdText] = Field([], max_length=MOST_AT_ONCE)
    remove: list[IdText] = Field([], max_length=MOST_AT_ONCE)


class BoardView(BaseModel):
    """A board of the caller's."""

    id: str
    name: str
    count: int = Field(description="pictures that are on it")
    cover: str | None = Field(description="the small version of the picture that was added last")


class BoardsView(BaseModel):
    """All of the caller's boards, the last made first."""

    boards: list[BoardView]


def boards(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio/boards", responses=_REFUSED)
    gallery = studio.gallery

    @routes.get("", response_model=BoardsView)
    async def listed(request: Request) -> Response:
        """The caller's boards."""
        return reply({"boards": await asyncio.to_thread(_all, gallery, owner_of(request.headers))})

    @routes.post("", response_model=BoardView, status_code=201)
    async def make(request: Request, asked: BoardName) -> Response:
        """Make a board."""
        owner = owner_of(request.headers)
        board = await asyncio.to_thread(gallery.boards.make, owner, asked.name)
        return reply(await asyncio.to_thread(_one, gallery, owner, board), 201)

    @routes.patch("/{id}", response_model=BoardView)
    async def rename(request: Request, id: BoardId, asked: BoardName) -> Response:
        """Call a board something else."""
        owner = owner_of(request.headers)
        board = await asyncio.to_thread(gallery.boards.rename, owner, id, asked.name)
        return reply(await asyncio.to_thread(_one, gallery, owner, board))

    @routes.delete("/{id}", status_code=204, response_class=Response)
    async def delete(request: Request, id: BoardId) -> Response:
        """Delete a board, and end its share. Its pictures stay."""
        await asyncio.to_thread(gallery.boards.delete, owner_of(request.headers), id)
        return Response(status_code=204)

    @routes.post("/{id}/pictures", response_model=BoardView)
    async def fill(request: Request, id: BoardId, asked: BoardChange) -> Response:
        """Put pictures on a board, and take others off. What is gone is not put."""
        owner = owner_of(request.headers)
        add, remove = ([PictureId.parse(one) for one in ids] for ids in (asked.add, asked.remove))
        board = await asyncio.to_thread(gallery.boards.fill, owner, id, add, remove)
        return reply(await asyncio.to_thread(_one, gallery, owner, board))

    return routes


def _all(gallery: Gallery, owner: str) -> list[dict[str, Any]]:
    return _views(gallery, owner, gallery.boards.all(owner))


def _one(gallery: Gallery, owner: str, board: Board) -> dict[str, Any]:
    return _views(gallery, owner, [board])[0]


def _views(gallery: Gallery, owner: str, boards: Sequence[Board]) -> list[dict[str, Any]]:
    covers = [PictureId.parse(board.pictures[0]) for board in boards if board.pictures]
    found = gallery.pictures.index(owner).entries(covers)
    small = {str(id): described(id.day, entry).small for id, entry in found}
    return [
        BoardView(
            id=board.id,
            name=board.name,
            count=len(board.pictures),
            cover=small.get(board.pictures[0]) if board.pictures else None,
        ).model_dump()
        for board in boards
    ]
