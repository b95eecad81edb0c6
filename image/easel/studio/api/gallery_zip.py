"""`/studio/gallery/zip`: many pictures as one file, made while it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from easel.models import write_whole
from easel.studio.activity import Activity
from easel.studio.api.gallery import REFUSED, Pictures
from easel.studio.api.strict_json import reply
from easel.studio.gallery import NoSuchPicture, PictureId
from easel.studio.gallery.archive import zipped
from easel.studio.outputs import NotSaved, Outputs
from easel.studio.owner import owner_of
from easel.studio.studio import Studio

_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
}


class ZipAddress(BaseModel):
    """Where a browser downloads it, so that it goes to the disk and not into memory."""

    address: str = Field(description="relative to the endpoint's; good once, for five minutes")


class ZipTickets:
    """Which pictures a download is of: a browser's is a GET, and ten thousand ids are no address.

    Files beside the owner's pictures, so that any replica takes what another one gave.
    """

    LIFE = 300.0
    _TICKET = re.compile(r"[0-9a-f]{32}")

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs

    def issue(self, owner: str, ids: list[PictureId]) -> str:
        """A ticket for `owner` alone. Raises NotSaved."""
        ticket, folder = secrets.token_hex(16), self._folder(owner)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.iterdir():
                with contextlib.suppress(OSError):
                    if time.time() - old.stat().st_mtime > self.LIFE:
                        old.unlink()
            write_whole(folder / ticket, json.dumps([str(id) for id in ids]).encode())
        except OSError as error:
            raise NotSaved(f"the download could not be begun: {error.strerror or error}") from error
        return ticket

    def take(self, owner: str, ticket: str) -> list[PictureId] | None:
        """What it is good for; nothing for anybody else, a second time, or too late."""
        if not self._TICKET.fullmatch(ticket):
            return None
        file = self._folder(owner) / ticket
        try:
            fresh = time.time() - file.stat().st_mtime <= self.LIFE
            names = json.loads(file.read_bytes())
            file.unlink()
        except (OSError, ValueError):
            return None
        return [PictureId.parse(name) for name in names] if fresh else None

    def _folder(self, owner: str) -> Path:
        return self._outputs.owned(owner) / ".zips"


def gallery_zip(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio/gallery/zip", responses=REFUSED)
    tickets = ZipTickets(studio.outputs)

    @routes.post("", response_class=StreamingResponse, responses=_ZIP)
    async def zip(request: Request, asked: Pictures) -> Response:
        """Pictures as one ZIP file, each under DAY/NAME. What is gone is left out."""
        return await _sent(studio, owner_of(request.headers), asked.ids)

    @routes.post("/tickets", response_model=ZipAddress)
    async def ticket(request: Request, asked: Pictures) -> Response:
        """An address that a browser downloads the same from."""
        owner = owner_of(request.headers)
        await _files(studio, owner, asked.ids)
        given = await asyncio.to_thread(tickets.issue, owner, asked.ids)
        return reply({"address": f"studio/gallery/zip/{given}"})

    @routes.get("/{ticket}", response_class=StreamingResponse, responses=_ZIP)
    async def download(request: Request, ticket: str) -> Response:
        """The file of a ticket: once."""
        owner = owner_of(request.headers)
        ids = await asyncio.to_thread(tickets.take, owner, ticket)
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
