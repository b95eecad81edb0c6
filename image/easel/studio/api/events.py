"""`GET /studio/events`: what happens to the caller's own, as server-sent events."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import structlog
from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from easel.studio.api.engine_state import engine_state
from easel.studio.api.jobs.async_jobs import AsyncJobs
from easel.studio.api.jobs.ticket import Ticket
from easel.studio.api.strict_json import dumps
from easel.studio.events import EventStream, PageEvent
from easel.studio.gallery_picture import picture_entry
from easel.studio.owner import folder_name, owner_of
from easel.studio.png import encode_preview
from easel.studio.studio import Studio
from easel.studio.version import VERSION

log = structlog.get_logger(__name__)

HEARTBEAT = 15.0
HEARTBEAT_LINE = b": still here\n\n"
"""A comment, which browsers drop: so that nobody between takes the line for dead."""
_LOOK_EVERY, _PREVIEW_EVERY, _ENGINE_EVERY = 0.2, 0.5, 1.0
_PREVIEW_SIDE = 320
# Nothing between here and the browser may gather what is told: Caddy and nginx both ask for these.
_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class JobObserver:
    """Looks at the engine for all open pages at once, when something changed, at most five times a second."""

    def __init__(self, studio: Studio, jobs: AsyncJobs) -> None:
        self._studio, self._jobs, self._events = studio, jobs, studio.events
        self._changed = asyncio.Event()
        self._ringing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._touched: set[str] = set()
        self._told: dict[str, dict[str, dict[str, Any]]] = {}
        self._previews: dict[str, tuple[float, object, str]] = {}
        self._engine: tuple[float, dict[str, Any]] = (0.0, {})

    def start(self) -> None:
        """Listen from now on."""
        self._loop = asyncio.get_running_loop()
        self._studio.engine.listen(self._ring)
        self._jobs.changed = self._touch
        self._studio.outputs.listen(self)
        self._task = asyncio.create_task(self._keep_looking())

    def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()

    async def greet(self, owner: str, stream: EventStream) -> None:
        """What a page that was just opened should know."""
        stream.put(PageEvent("hello", {"version": VERSION}), "hello")
        stream.put(PageEvent("engine", engine_state(self._studio).model_dump()), "engine all")
        for ticket in await self._jobs.tickets(owner):
            stream.put(PageEvent("job", ticket.model_dump()), f"job {ticket.id}")

    def _ring(self) -> None:
        """Something changed; on any thread, often."""
        if self._ringing or not self._events.owners or self._loop is None:
            return
        self._ringing = True
        with contextlib.suppress(RuntimeError):  # the loop is gone
            self._loop.call_soon_threadsafe(self._changed.set)

    def _touch(self, owner: str) -> None:
        self._touched.add(owner)
        self._ring()

    def saved(self, path: Path, file: bytes) -> None:
        """A picture is in the gallery (`OutputsListener`); on any thread."""
        for owner in self._watching(path):
            if entry := picture_entry(path):
                self._events.tell(owner, "picture", entry.model_dump())

    def gone(self, paths: Sequence[Path]) -> None:
        """Pictures are not there any more (`OutputsListener`); on any thread."""
        by_owner: dict[str, list[str]] = {}
        for path in paths:
            for owner in self._watching(path):
                by_owner.setdefault(owner, []).append(f"{path.parent.name}/{path.name}")
        for owner, names in by_owner.items():
            self._events.tell(owner, "gone", {"pictures": names})

    def _watching(self, picture: Path) -> list[str]:
        """Whose picture it is, if a page of theirs is open."""
        folder = picture.parent.parent.name
        return [owner for owner in self._events.owners if folder_name(owner) == folder]

    async def _keep_looking(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._ringing = False
            try:
                await self._look()
            except Exception:  # whatever one look meets, the next comes
                log.exception("events")
            await asyncio.sleep(_LOOK_EVERY)

    async def _look(self) -> None:
        watching = self._events.owners
        self._look_at_engine()
        touched, self._touched = self._touched, set()
        for owner in watching & (self._jobs.owners() | touched):
            told = self._told.setdefault(owner, {})
            tickets = await self._jobs.tickets(owner)
            for ticket in tickets:
                now = ticket.model_dump(exclude={"preview"})
                preview = await self._preview(owner, ticket)
                if told.get(ticket.id) != now or preview:
                    told[ticket.id] = now
                    self._events.tell(owner, "job", {**now, "preview": preview}, ticket.id)
            there = {ticket.id for ticket in tickets}
            self._told[owner] = {id: one for id, one in told.items() if id in there}
            self._previews = {id: one for id, one in self._previews.items() if id in there or id not in told}
        for owner in self._told.keys() - watching:
            del self._told[owner]

    async def _preview(self, owner: str, ticket: Ticket) -> str | None:
        """A new look at what is being drawn, as a data: URI; None where there is nothing new to see."""
        if ticket.state != "drawing":
            return None
        image = self._jobs.views.preview(owner, ticket.id)
        at, before, _ = self._previews.get(ticket.id, (0.0, None, ""))
        if image is None or image is before or time.monotonic() - at < _PREVIEW_EVERY:
            return None
        content = await asyncio.to_thread(encode_preview, image, side=_PREVIEW_SIDE)
        uri = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
        self._previews[ticket.id] = (time.monotonic(), image, "")
        return uri

    def _look_at_engine(self) -> None:
        at, told = self._engine
        now = engine_state(self._studio).model_dump()
        # Memory is never twice the same, and the width goes to and fro with the sizes that are drawn.
        differs = any(now[name] != told.get(name) for name in now if name not in ("memory_used", "width"))
        if not differs:
            return
        if (pause := at + _ENGINE_EVERY - time.monotonic()) > 0:
            asyncio.get_running_loop().call_later(pause, self._changed.set)
            return
        self._engine = (time.monotonic(), now)
        self._events.tell(None, "engine", now, "all")


def events(studio: Studio, observer: JobObserver) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.get(
        "/studio/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def follow(request: Request) -> StreamingResponse:
        """Events `hello`, `engine`, `job` (a ticket), `picture` and `gone` (of the gallery), `models` (ask
        again), until the caller hangs up. Keeps nothing awake."""
        return StreamingResponse(
            _lines(studio, observer, owner_of(request.headers)),
            headers=_HEADERS,
            media_type="text/event-stream",
        )

    return routes


async def _lines(studio: Studio, observer: JobObserver, owner: str) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()

    def told_of_models() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(stream.put, PageEvent("models", {}), "models all")

    with studio.events.stream(owner) as stream, studio.library.changes.told(told_of_models):
        await observer.greet(owner, stream)
        async for event in stream.events(HEARTBEAT):
            if event is None:
                yield HEARTBEAT_LINE
            else:
                yield b"event: " + event.name.encode() + b"\ndata: " + dumps(event.data) + b"\n\n"
