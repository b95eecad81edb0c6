"""What the door passed to each replica: the load of a container that reports none of its own.

Caddy carries the bytes, so the gateway sees a request begin but not end; its end is the line that Caddy
writes into its access log. A line that never comes (Caddy was killed) ends with the request's own timeout.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from easel.gateway.backend import Work


@dataclass
class _Door:
    """Requests open at one address: when each began at the latest is forgotten, on the monotonic clock."""

    deadlines: deque[float] = field(default_factory=deque)
    last: float | None = None


class Passing:
    """Counts open requests by upstream address (`host:port`)."""

    def __init__(self) -> None:
        self._doors: dict[str, _Door] = {}
        self._began = time.monotonic()

    def begin(self, address: str, timeout: float, *, lasting: bool = False) -> None:
        """A request goes to `address`; it cannot be open for longer than `timeout` seconds.

        `lasting`: a WebSocket or an event stream. It shows that somebody is there, but it stays open as long
        as the tab does, and a tab that is open is not work.
        """
        door = self._doors.setdefault(address, _Door())
        door.last = time.monotonic()
        if not lasting:
            door.deadlines.append(door.last + timeout)

    def end(self, address: str) -> None:
        """A request to `address` is over."""
        if (door := self._doors.get(address)) and door.deadlines:
            door.deadlines.popleft()
            door.last = time.monotonic()

    def work(self, address: str) -> Work:
        """The requests open at `address`, and for how many seconds there was none."""
        now = time.monotonic()
        door = self._doors.get(address)
        if door is None:
            return Work(idle_seconds=now - self._began)
        while door.deadlines and door.deadlines[0] <= now:
            door.deadlines.popleft()
        idle = 0.0 if door.deadlines else now - (door.last if door.last is not None else self._began)
        return Work(running=len(door.deadlines), idle_seconds=idle)

    def forget(self, address: str) -> None:
        """The replica is gone; another may get its address."""
        self._doors.pop(address, None)
