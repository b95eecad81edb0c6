"""`/studio/gallery/zip`: many pictures as one file, made while it is sent."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from easel.studio.activity import Activity
from easel.studio.api.gallery import REFUSED, Pictures
from easel.studio.api.strict_json import reply
from easel.studio.gallery import NoSuchPicture, PictureId
from easel.studio.gallery.archive import zipped
from easel.studio.owner import owner_of
from easel.studio.studio import Studio

_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
}


class ZipAddress(BaseModel):
    """Where a browser downloads it, so that it goes to the disk and not into memory."""

    address: str = Field(description="relative to the endpoint's; good once, for five minutes")


class ZipTickets:
    """Which pictures a download is of: a browser's is a GET, and ten thousand ids are no address."""

    LIFE = 300.0
    MOST = 1_000

    def __init__(self) -> None:
        self._open: dict[str, tuple[float, str, list[PictureId]]] = {}
        self._lock = threading.Lock()

    def issue(self, owner: str, ids: list[PictureId]) -> str:
        """A ticket for `owner` alone."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            now = time.monotonic()
            fresh = [(key, one) for key, one in self._open.items() if one[0] > now][1 - self.MOST :]
            self._open = {**dict(fresh), ticket: (now + self.LIFE, owner, ids)}
        return ticket

    def take(self, owner: str, ticket: str) -> list[PictureId] | None:
        """What it is good for; nothing for anybody else, a second time, or too late."""
        with self._lock:
            until, whose, ids = self._open.get(ticket, (0.0, "", []))
            if whose != owner or until < time.monotonic():
                return None
            del self._open[ticket]
            return ids


def gallery_zip(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio/gallery/zip", responses=REFUSED)
    tickets = ZipTickets()

    @routes.post("", response_class=StreamingResponse, responses=_ZIP)
    async def zip(request: Request, asked: Pictures) -> Response:
        """Pictures as one ZIP file, each under DAY/NAME. What is gone is left out."""
        return await _sent(studio, owner_of(request.headers), asked.ids)

    @routes.post("/tickets", response_model=ZipAddress)
    async def ticket(request: Request, asked: Pictures) -> Response:
        """An address that a browser downloads the same from."""
        owner = owner_of(request.headers)
        await _files(studio, owner, asked.ids)
        return reply({"address": f"studio/gallery/zip/{tickets.issue(owner, asked.ids)}"})

    @routes.get("/{ticket}", response_class=StreamingResponse, responses=_ZIP)
    async def download(request: Request, ticket: str) -> Response:
        """The file of a ticket: once."""
        owner = owner_of(request.headers)
        ids = tickets.take(owner, ticket)
        if ids is None:
            raise HTTPException(404, "this download was begun before, or too long ago: ask for it again")
        return await _sent(studio, owner, ids)

    return routes


async def _sent(studio: Studio, owner: str, ids: list[PictureId]) -> Response:
    paths = await _files(studio, owner, ids)
    headers = {
        "Content-Disposition": f'attachment; filename="easel-{date.today().isoformat()}.zip"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_busy(studio.activity, paths), 200, headers, "application/zip")


async def _files(studio: Studio, owner: str, ids: list[PictureId]) -> list[Path]:
    """Raises NoSuchPicture where none is there."""
    paths = await asyncio.to_thread(studio.gallery.pictures.files, owner, ids)
    if not paths:
        raise NoSuchPicture("none of these pictures is there: they may have been deleted")
    return paths


def _busy(activity: Activity, paths: list[Path]) -> Iterator[bytes]:
    with activity.busy():
        yield from zipped(paths)
