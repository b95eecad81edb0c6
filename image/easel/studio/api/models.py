"""`/studio/models/…`: models in. What the Civitai tab uses, and programs may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from easel.remark import remark
from easel.studio.api.errors import ErrorBody
from easel.studio.api.strict_json import dumps, reply
from easel.studio.library import FINAL, BackgroundJob, Card, Downloaded, JobView, Library, RemoteJob
from easel.studio.owner import is_anonymous, owner_of
from easel.studio.studio import Studio

_EVERY = 0.5
KindWord = Literal[
    "checkpoint",
    "vae",
    "lora",
    "embedding",
    "controlnet",
    "image_encoder",
    "upscaler",
    "face_restorer",
    "hypernetwork",
    "text_encoder",
]
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The body is not JSON"},
    403: {"model": ErrorBody, "description": "The caller is anonymous, or the source does not give it out"},
    404: {"model": ErrorBody, "description": "No such model, job or preview"},
    410: {"model": ErrorBody, "description": "The model was archived by its creator"},
    422: {"model": ErrorBody, "description": "An address, name or folder that cannot be"},
    429: {"model": ErrorBody, "description": "The source wants a pause, or too many downloads wait"},
    502: {"model": ErrorBody, "description": "The source cannot be reached"},
}
_PICTURE: dict[int | str, dict[str, Any]] = {
    **_REFUSED,
    200: {"content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}},
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    **_REFUSED,
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
}
# A picture was made by this studio from pixels; whatever it were, it could do nothing.
_INERT = {
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


class InfoRequest(BaseModel):
    """Asks what is at an address."""

    url: str = Field(
        max_length=2000,
        description="a page of Civitai, its number, civitai://…, hf://org/repo/file or https://…",
        examples=["https://civitai.com/models/4384/dreamshaper?modelVersionId=128713"],
    )


class DownloadRequest(BaseModel):
    """Asks for a download."""

    url: str = Field(max_length=2000, description="an address; those of a card's files are exact")
    type: KindWord | None = Field(None, description="where it belongs; null is as the source or file says")
    folder: str = Field("/", max_length=400, description="a folder below the type's own, new ones too")
    name: str = Field("", max_length=200, description="the file's name; empty is the source's")
    sha256: str = Field("", pattern=r"^([0-9a-fA-F]{64})?$", description="what it must be, if known")


class Folders(BaseModel):
    """Folders of one type."""

    folders: list[str]


def models(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio/models", responses=_REFUSED)
    for add in (_elsewhere, _here, _starts, _jobs):
        add(routes, studio.library)
    return routes


def _elsewhere(routes: APIRouter, library: Library) -> None:
    """What is at an address, before anything is downloaded."""

    @routes.post("/info", response_model=Card)
    async def info(request: Request, asked: InfoRequest) -> Response:
        """What is at an address: name, type, versions, files, licence, trained words, previews."""
        known_caller(request)
        return reply((await asyncio.to_thread(library.card, asked.url)).model_dump())

    @routes.get("/previews/{key}", response_class=Response, responses=_PICTURE)
    async def preview(request: Request, key: str, mature: bool = False) -> Response:
        """A preview of a card, as the studio fetched it; blurred unless `mature` says that one may see it.

        Only pictures that are marked `mature` in a card are ever blurred.
        """
        known_caller(request)
        blurred = not mature and library.pictures.is_mature(key)
        return _picture(await asyncio.to_thread(library.pictures.get, key, blurred=blurred))


def _here(routes: APIRouter, library: Library) -> None:
    """What is in the store."""

    @routes.get("/folders", response_model=Folders)
    async def folders(request: Request, type: KindWord = "checkpoint") -> Response:
        """The folders that a model of a type may go to."""
        known_caller(request)
        return reply({"folders": await asyncio.to_thread(library.folders, type)})

    @routes.get("/files", response_model=list[Downloaded])
    async def files() -> Response:
        """Every model that is there, the newest first."""
        return reply([one.model_dump() for one in await asyncio.to_thread(library.files)])

    @routes.get("/files/preview", response_class=Response, responses=_PICTURE)
    async def picture(type: KindWord, name: Annotated[str, Query(max_length=1000)]) -> Response:
        """The preview beside a model."""
        return _picture(await asyncio.to_thread(library.picture_of, type, name))


def _starts(routes: APIRouter, library: Library) -> None:
    """What begins a job."""

    @routes.post("/downloads", response_model=JobView, status_code=202)
    async def download(request: Request, asked: DownloadRequest) -> Response:
        """Start a download, or join the same one of somebody else. It goes on without its caller."""
        owner = known_caller(request)
        job = await asyncio.to_thread(
            library.download,
            owner,
            asked.url,
            kind=asked.type or "",
            folder=asked.folder,
            name=asked.name,
            sha256=asked.sha256,
        )
        return _accepted(job, owner)

    @routes.post("/scan", response_model=JobView, status_code=202)
    async def scan(request: Request) -> Response:
        """Find every file without information on Civitai by its hash, and write what is missing beside it."""
        owner = known_caller(request)
        job = await asyncio.to_thread(library.scan, owner)
        return _accepted(job, owner)

    @routes.post("/updates", response_model=JobView, status_code=202)
    async def updates(request: Request) -> Response:
        """Look for newer versions of the models that came from Civitai."""
        owner = known_caller(request)
        job = await asyncio.to_thread(library.updates, owner)
        return _accepted(job, owner)


def _jobs(routes: APIRouter, library: Library) -> None:
    """The jobs that were begun."""

    @routes.get("/jobs", response_model=list[JobView])
    async def jobs(request: Request) -> Response:
        """Downloads, scans and looks for new versions of everybody, on every replica, the newest first."""
        owner = known_caller(request)
        return reply([job.view(owner).model_dump() for job in library.jobs.all()])

    @routes.get("/jobs/{number}", response_model=JobView)
    async def job(request: Request, number: str) -> Response:
        """How far one is."""
        owner = known_caller(request)
        return reply(library.jobs.find(number).view(owner).model_dump())

    @routes.get("/jobs/{number}/events", response_class=StreamingResponse, responses=_EVENTS)
    async def events(request: Request, number: str) -> Response:
        """How far one is, as server-sent events of the same JSON, until it has ended."""
        owner = known_caller(request)
        found = library.jobs.find(number)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(found, owner), 200, headers, "text/event-stream")

    @routes.post("/jobs/{number}/again", response_model=JobView, status_code=202)
    async def again(request: Request, number: str) -> Response:
        """Start anew what failed or was cancelled: a download goes on from where it was."""
        owner = known_caller(request)
        return _accepted(library.jobs.again(number, owner), owner)

    @routes.delete("/jobs/{number}", response_model=JobView)
    async def cancel(request: Request, number: str) -> Response:
        """Cancel what one asked for. It ends when nobody else asked for the same; what has come is kept."""
        owner = known_caller(request)
        return reply(library.jobs.cancel(number, owner).view(owner).model_dump())


def known_caller(request: Request) -> str:
    """The caller's name. Raises 403 for an anonymous one."""
    owner = owner_of(request.headers)
    if is_anonymous(owner):
        raise HTTPException(
            403,
            remark(
                "no_visitors",
                "visitors of a public endpoint add no models: open a link of the team, or send a token",
            ),
        )
    return owner


def _accepted(job: BackgroundJob, owner: str) -> Response:
    return reply(job.view(owner).model_dump(), 202, {"Location": f"/studio/models/jobs/{job.id}"})


def _picture(content: bytes) -> Response:
    return Response(content, 200, _INERT, "image/webp")


async def _events(job: BackgroundJob | RemoteJob, owner: str) -> AsyncIterator[bytes]:
    last: dict[str, Any] = {}
    beat = 0.0
    while True:
        now = json.loads(dumps(job.view(owner).model_dump()))
        if now != last:
            last, beat = now, 0.0
            yield b"data: " + dumps(now) + b"\n\n"
        elif beat >= 15:
            beat = 0.0
            yield b": still there\n\n"
        if now["state"] in FINAL:
            return
        await asyncio.sleep(_EVERY)
        beat += _EVERY
