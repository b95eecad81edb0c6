"""One request from its fields to its pictures, whatever API it came by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from easel.studio.api.hanging_up import Waiting, line_of
from easel.studio.api.options import set_options
from easel.studio.api.request_run import RequestRun
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.ordering import Ordering, SubmittedRequest
from easel.studio.api.requests.result import Result
from easel.studio.api.scripts.selectable import course_of
from easel.studio.owner import owner_of
from easel.studio.studio import Studio


@dataclass(frozen=True)
class DrawnRequest:
    """A request that was drawn: what it was understood as, what came of it and what there is to say.

    `submitted` are its jobs, of which there is at least one; `line` is its client's.
    """

    owner: str
    body: DrawingRequest
    result: Result
    submitted: list[SubmittedRequest]
    notes: list[str]
    started: datetime
    line: Waiting

    @property
    def first(self) -> SubmittedRequest:
        """Its first job, with the options that it was drawn by."""
        return self.submitted[0]


@asynccontextmanager
async def drawn(studio: Studio, asked: DrawingRequest, request: Request) -> AsyncIterator[DrawnRequest]:
    """Draw `asked` for the caller of `request`, and watch the line until the answer is made.

    Hanging up stops the drawing. Raises what ends a job, and what refuses a request.
    """
    owner = owner_of(request.headers)
    ordering = await asyncio.to_thread(Ordering, studio, owner)
    async with line_of(request) as line:
        run = RequestRun(studio, ordering, line)
        yield await draw(studio, owner, asked, ordering, run, line)


async def draw(
    studio: Studio, owner: str, asked: DrawingRequest, ordering: Ordering, run: RequestRun, line: Waiting
) -> DrawnRequest:
    """Draw `asked` as `run`, whoever waits for it. Raises what ends a job, and what refuses a request."""
    started = datetime.now()
    body = await asyncio.to_thread(ordering.begin, asked)
    course = await asyncio.to_thread(course_of, body, ordering)
    if body.override_settings and not body.override_settings_restore_afterwards:
        await asyncio.to_thread(set_options, studio, owner, body.override_settings)
    result = await run.result(course)
    return DrawnRequest(owner, body, result, run.submitted, run.notes, started, line)
