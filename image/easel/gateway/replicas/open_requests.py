"""What the door passed to each replica: the load of a container that reports none of its own."""

from __future__ import annotations

import itertools
import time

from easel.gateway.replicas.backend import Work


class OpenRequests:
    """Counts open requests by upstream address (`host:port`)."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._numbers = itertools.count(1)
        # The address of each open request.
        self._open: dict[str, str] = {}
        self._last: dict[str, float] = {}

    def begin(self, address: str, *, lasting: bool = False) -> str:
        """A request goes to `address`. Its number, for its end.

        `lasting`: a WebSocket or an event stream. It shows that somebody is there, but it stays open as long
        as the tab does, and a tab that is open is not work.
        """
        self._last[address] = time.monotonic()
        number = str(next(self._numbers))
        if not lasting:
            self._open[number] = address
        return number

    def end(self, number: str) -> None:
        """The request of this number is over."""
        if address := self._open.pop(number, None):
            self._last[address] = time.monotonic()

    def work(self, address: str) -> Work:
        """The requests open at `address`, and for how many seconds there was none."""
        running = sum(1 for where in self._open.values() if where == address)
        idle = 0.0 if running else time.monotonic() - self._last.get(address, self._began)
        return Work(running=running, idle_seconds=idle)

    def forget(self, address: str) -> None:
        """The replica is gone; another may get its address."""
        self._open = {number: where for number, where in self._open.items() if where != address}
        self._last.pop(address, None)
