"""What happened to whom, in words: the console and `easel status` show it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One sentence about an endpoint or a replica. `at` is Unix seconds; `kind` is one word a program can
    match."""

    at: float
    endpoint: str
    replica: str | None
    kind: str
    text: str


class Events:
    """The last `keep` events. The gateway listens and logs each, so nothing is lost when it leaves the
    list."""

    def __init__(self, keep: int = 1000) -> None:
        self._events: deque[Event] = deque(maxlen=keep)
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, hear: Callable[[Event], None]) -> None:
        """Have `hear` called with every event from now on."""
        self._listeners.append(hear)

    def add(self, endpoint: str, replica: str | None, kind: str, text: str) -> None:
        """Say that `text` happened now; `replica` is None for the endpoint as a whole."""
        event = Event(time.time(), endpoint, replica, kind, text)
        self._events.append(event)
        for hear in self._listeners:
            hear(event)

    def of(self, endpoint: str | None = None) -> list[Event]:
        """Oldest first; all endpoints if none is named."""
        return [event for event in self._events if endpoint in (None, event.endpoint)]
