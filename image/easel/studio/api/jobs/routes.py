"""`/jobs`: the caller's asynchronous requests."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from easel.studio.api.errors import RESPONSES, ErrorBody
from easel.studio.api.jobs.async_jobs import AsyncJobs
from easel.studio.api.jobs.job_book import NoSuchTicket
from easel.studio.api.jobs.record import AcceptedRequest, JobAnswer
from easel.studio.api.jobs.ticket import Ticket
from easel.studio.api.strict_json import dumps, reply
from easel.studio.owner import owner_of

_MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "The caller has no such job, or it ended more than an hour ago"}
}
_RESULT: dict[int | str, dict[str, Any]] = {
    **RESPONSES,
    **_MISSING,
    409: {"model": ErrorBody, "description": "It is not finished; Retry-After says when to ask again"},
    410: {"model": ErrorBody, "description": "It failed; the words say why"},
}


class TicketList(BaseModel):
    """Unfinished ones first, in the order they are drawn, then the last twenty that ended within an hour."""

    jobs: list[Ticket]


class MoveRequest(BaseModel):
    """Asks for another place."""

    before: str | None = None


def jobs_routes(jobs: AsyncJobs) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/jobs")

    @routes.get("")
    async def list_jobs(request: Request) -> TicketList:
        """The caller's jobs."""
        return TicketList(jobs=await jobs.tickets(owner_of(request.headers)))

    @routes.get("/{id}", responses=_MISSING)
    async def get_job(id: str, request: Request) -> Ticket:
        """One of the caller's jobs."""
        with _missing():
            return await jobs.ticket(owner_of(request.headers), id)

    @routes.get("/{id}/result", responses=_RESULT)
    async def get_result(id: str, request: Request) -> Response:
        """What the route would have answered, for an hour after the end."""
        owner = owner_of(request.headers)
        with _missing():
            record = await jobs.record(owner, id)
        if record.unfinished:
            words = "it is not finished yet: GET /jobs/ID says how far it is, GET /studio/events when it is"
            raise HTTPException(409, words, {"Retry-After": "2"})
        if record.error is not None:
            raise HTTPException(410, record.error.words)
        return _answered(record, await asyncio.to_thread(jobs.views.files, owner, record.results))

    @routes.delete("/{id}", responses=_MISSING)
    async def cancel_job(id: str, request: Request, keep: bool = False) -> Ticket:
        """End a job. What is saved stays; with `keep` what is half drawn is saved as it is."""
        with _missing():
            return await jobs.cancel(owner_of(request.headers), id, keep=keep)

    @routes.post("/{id}/move", responses=_MISSING)
    async def move_job(id: str, asked: MoveRequest, request: Request) -> TicketList:
        """Draw a job that has not begun before another one, or last."""
        with _missing():
            return TicketList(jobs=await jobs.move(owner_of(request.headers), id, asked.before))

    return routes


class _missing:
    """Another person's job and one that never was are the same: 404."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, NoSuchTicket):
            raise HTTPException(404, "Not Found") from error


def _answered(record: AcceptedRequest, files: list[bytes]) -> Response:
    """A1111's body of that route; of a cancelled one with the pictures that there are."""
    answer = record.answer or JobAnswer(images=record.results)
    images = [base64.b64encode(one).decode() for one in files]
    if record.kind == "extra-single-image":
        return reply({"html_info": answer.html_info, "image": images[0] if images else None})
    if record.kind == "extra-batch-images":
        return reply({"html_info": answer.html_info, "images": images})
    info = dumps(answer.info).decode()
    return reply({"images": images, "parameters": answer.parameters, "info": info})
