"""What happened to whom, in words: the console and `easel status` show it."""

from __future__ import annotations

import time
from collections import defaultdict, deque
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
        self._keep = keep
        self._events: deque[Event] = deque()
        # The same by endpoint: the console's page asks for those of each.
        self._of: defaultdict[str, deque[Event]] = defaultdict(deque)
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, hear: Callable[[Event], None]) -> None:
        """Have `hear` called with every event from now on."""
        self._listeners.append(hear)

    def add(self, endpoint: str, replica: str | None, kind: str, text: str) -> None:
        """Say that `text` happened now; `replica` is None for the endpoint as a whole."""
        event = Event(time.time(), endpoint, replica, kind, text)
        self._events.append(event)
        self._of[endpoint].append(event)
        if len(self._events) > self._keep:
            # The oldest of all is the oldest of its endpoint's.
            left = self._events.popleft()
            self._of[left.endpoint].popleft()
            if not self._of[left.endpoint]:
                del self._of[left.endpoint]
        for hear in self._listeners:
            hear(event)

    def of(self, endpoint: str | None = None) -> list[Event]:
        """Oldest first; all endpoints if none is named."""
        return list(self._events if endpoint is None else self._of.get(endpoint, ()))
