"""`Prefer: respond-async` (RFC 7240): the answer is a ticket, and the pictures come when they are drawn."""

from __future__ import annotations

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

from easel.studio.api.jobs.async_jobs import AsyncJobs
from easel.studio.api.jobs.record import RequestKind
from easel.studio.api.jobs.webhook import HEADER
from easel.studio.api.strict_json import reply
from easel.studio.owner import NotYours, is_anonymous, owner_of


def wants_async(request: Request) -> bool:
    """Whether the caller prefers a ticket to waiting; who wants to be told of the end does."""
    if HEADER in request.headers:
        return True
    said = ",".join(request.headers.getlist("prefer"))
    return any(one.partition(";")[0].strip().lower() == "respond-async" for one in said.split(","))


async def accepted(jobs: AsyncJobs, kind: RequestKind, asked: BaseModel, request: Request) -> Response:
    """Accept a request, and answer 202 with its ticket. Raises what refuses it, and NotYours where somebody
    whom nobody knows would have this server send something."""
    owner, webhook = owner_of(request.headers), request.headers.get(HEADER)
    if webhook is not None and is_anonymous(owner):
        raise NotYours("webhooks are for people who are known: sign in, or send a token")
    ticket = await jobs.submit(owner, kind, asked.model_dump(exclude_unset=True), webhook=webhook)
    headers = {
        "Location": f"{request.scope.get('root_path', '')}/jobs/{ticket.id}",
        "Preference-Applied": "respond-async",
    }
    return reply(ticket.model_dump(), 202, headers)
