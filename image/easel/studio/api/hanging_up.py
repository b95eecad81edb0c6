"""Clients that do not wait for their answer any more: what is made for them is ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from fastapi import Request
from starlette.exceptions import HTTPException

from easel.studio.completion import finished
from easel.studio.engine import Job


class Waiting(Protocol):
    """Who waits for what is made."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more."""

    async def ended(self, jobs: Sequence[Job]) -> None:
        """Wait until all have ended. Raises where nobody waits for them any more."""


class Unattended:
    """Nobody waits on a connection, and it is made all the same."""

    gone = False

    async def ended(self, jobs: Sequence[Job]) -> None:
        """Wait until all have ended."""
        await asyncio.gather(*(finished(job).wait() for job in jobs))


class Line:
    """The connection that an answer is awaited on."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._gone = threading.Event()
        self._listening = asyncio.create_task(self._listen())

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more."""
        return self._gone.is_set()

    async def ended(self, jobs: Sequence[Job]) -> None:
        """Wait until all have ended, or raise A1111's 499 when nobody waits for them any more."""
        waits = asyncio.gather(*(finished(job).wait() for job in jobs))
        either: set[asyncio.Future[Any]] = {waits, self._listening}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not waits.done():
                raise nobody()
        finally:
            waits.cancel()

    def close(self) -> None:
        """Listen no longer."""
        self._listening.cancel()

    async def _listen(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._gone.set()


@asynccontextmanager
async def line_of(request: Request) -> AsyncIterator[Line]:
    """The line of a request whose body was read."""
    line = Line(request)
    try:
        yield line
    finally:
        line.close()


def nobody() -> HTTPException:
    """The client hung up."""
    return HTTPException(499, "the client hung up")
