"""`/studio/shares`: one picture or one board, for others of the endpoint."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field, model_validator
from starlette.responses import FileResponse, Response

from easel.remark import remark
from easel.studio.api.gallery import REFUSED, SMALL, Day, IdText, Name, small_reply
from easel.studio.api.parameters import Parameters, file_parameters
from easel.studio.api.strict_json import reply
from easel.studio.formats import PictureFormat
from easel.studio.gallery import PictureId, Share, SharedPictures
from easel.studio.gallery_picture import GalleryPicture, described
from easel.studio.owner import owner_of
from easel.studio.studio import Studio

_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            f"image/{kind}": {"schema": {"type": "string", "format": "binary"}}
            for kind in ("png", "jpeg", "webp")
        }
    },
}
Token = Annotated[str, Path(max_length=64)]
# A share can be ended at any time: what browsers keep of it they ask about again.
_ASK_AGAIN = "private, no-cache"


class ShareRequest(BaseModel):
    """Asks to share a picture or a board."""

    picture: IdText | None = None
    board: Annotated[str, Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _one(self) -> ShareRequest:
        if (self.picture is None) == (self.board is None):
            raise ValueError(remark("picture_or_board", "one picture, or one board"))
        return self


class ShareView(BaseModel):
    """A share of the caller's."""

    token: str
    address: str = Field(description="the page's, for others of the endpoint")
    picture: str | None
    board: str | None
    made_at: str = Field(description="ISO 8601 in UTC")


class SharesView(BaseModel):
    """What the caller shares, the newest first."""

    shares: list[ShareView]


class SharedView(BaseModel):
    """What a share gives to see. Whose it is, is not told."""

    board: str = Field(description="the board's name; empty of a single picture")
    pictures: list[GalleryPicture]


def shares(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio/shares", responses=REFUSED)
    _own(routes, studio)
    _seen(routes, studio)
    return routes


def _own(routes: APIRouter, studio: Studio) -> None:
    shares = studio.gallery.shares

    @routes.get("", response_model=SharesView)
    async def listed(request: Request) -> Response:
        """What the caller shares."""
        found = await asyncio.to_thread(shares.all, owner_of(request.headers))
        return reply({"shares": [_view(one) for one in found]})

    @routes.post("", response_model=ShareView, status_code=201)
    async def share(request: Request, asked: ShareRequest) -> Response:
        """Share a picture, or a board as it is at any time. What is shared already keeps its address."""
        picture = PictureId.parse(asked.picture) if asked.picture is not None else None
        owner = owner_of(request.headers)
        made = await asyncio.to_thread(lambda: shares.share(owner, picture=picture, board=asked.board))
        return reply(_view(made), 201)

    @routes.delete("/{token}", status_code=204, response_class=Response)
    async def end(request: Request, token: Token) -> Response:
        """End a share. Only its owner can."""
        await asyncio.to_thread(shares.end, owner_of(request.headers), token)
        return Response(status_code=204)


def _seen(routes: APIRouter, studio: Studio) -> None:
    shares = studio.gallery.shares

    @routes.get("/{token}", response_model=SharedView)
    async def see(token: Token) -> Response:
        """What somebody of this endpoint shares."""
        return reply(_shared(token, await asyncio.to_thread(shares.see, token)))

    @routes.get("/{token}/pictures/{day}/{name}", response_class=FileResponse, responses=_PICTURE)
    async def picture(token: Token, day: Day, name: Name) -> Response:
        """A shared picture."""
        path = await asyncio.to_thread(shares.find, token, PictureId.of(day, name))
        kind = PictureFormat(path.suffix).media_type
        return FileResponse(path, headers={"Cache-Control": _ASK_AGAIN}, media_type=kind)

    @routes.get("/{token}/small/{day}/{name}", response_class=Response, responses=SMALL)
    async def small(token: Token, day: Day, name: Name) -> Response:
        """A small version of a shared picture."""
        path = await asyncio.to_thread(shares.find, token, PictureId.of(day, name))
        return await small_reply(studio.gallery, path, _ASK_AGAIN)

    @routes.get("/{token}/parameters/{day}/{name}", response_model=Parameters)
    async def parameters(request: Request, token: Token, day: Day, name: Name) -> Response:
        """What a shared picture was drawn from."""
        path = await asyncio.to_thread(shares.find, token, PictureId.of(day, name))
        owner = owner_of(request.headers)
        return reply(await asyncio.to_thread(file_parameters, studio, path, owner))


def _view(share: Share) -> dict[str, Any]:
    return ShareView(
        token=share.token,
        address=f"#shared/{share.token}",
        picture=share.picture,
        board=share.board,
        made_at=datetime.fromtimestamp(share.made_at, UTC).isoformat(),
    ).model_dump()


def _shared(token: str, found: SharedPictures) -> dict[str, Any]:
    base = f"studio/shares/{token}"
    pictures = [
        described(id.day, entry, pictures=f"{base}/pictures", small=f"{base}/small").model_dump()
        for id, entry in found.pictures
    ]
    return {"board": found.board, "pictures": pictures}
