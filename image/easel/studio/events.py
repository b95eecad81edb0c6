"""What happens, told to the open pages of whom it concerns: one place to say it, a stream for each page."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

# Events that wait for a page which reads slowly, or sleeps; the oldest are lost first. Newer ones of a job
# take the place of its older ones, so only pictures ever come near it.
_MOST_WAITING = 500


class PageEvent(NamedTuple):
    """A name, and what is told as JSON."""

    name: str
    data: Any


class EventStream:
    """What one open page has not been told yet. Used on its event loop."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, PageEvent] = OrderedDict()
        self._there = asyncio.Event()

    def put(self, event: PageEvent, about: str) -> None:
        """Tell it next. What waits `about` the same is told no more."""
        self._waiting.pop(about, None)
        self._waiting[about] = event
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popitem(last=False)
        self._there.set()

    async def events(self, heartbeat: float) -> AsyncIterator[PageEvent | None]:
        """Each as it comes; None after `heartbeat` seconds without one."""
        while True:
            if not self._waiting:
                self._there.clear()
                try:
                    async with asyncio.timeout(heartbeat):
                        await self._there.wait()
                except TimeoutError:
                    yield None
                    continue
            yield self._waiting.popitem(last=False)[1]


class PageEvents:
    """Thread-safe. Telling something costs nothing while no page of its owner is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[EventStream, tuple[str, asyncio.AbstractEventLoop]] = {}
        self._number = 0

    @property
    def owners(self) -> set[str]:
        """Whose pages are open."""
        with self._lock:
            return {owner for owner, _ in self._streams.values()}

    @contextlib.contextmanager
    def stream(self, owner: str) -> Any:
        """A page of `owner` is open."""
        stream = EventStream()
        with self._lock:
            self._streams[stream] = (owner, asyncio.get_running_loop())
        try:
            yield stream
        finally:
            with self._lock:
                del self._streams[stream]

    def tell(self, owner: str | None, name: str, data: Any, about: str = "") -> None:
        """Tell all open pages of `owner`, or everybody's. Of what is `about` the same, the last is told."""
        with self._lock:
            self._number += 1
            about = f"{name} {about}" if about else f"{name} {self._number}"
            found = [
                (stream, loop)
                for stream, (whose, loop) in self._streams.items()
                if owner is None or whose == owner
            ]
        for stream, loop in found:
            with contextlib.suppress(RuntimeError):  # the loop is gone, and so is the page
                loop.call_soon_threadsafe(stream.put, PageEvent(name, data), about)
