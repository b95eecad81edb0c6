"""What the door passed to each replica: the load of a container that reports none of its own.

Caddy carries the bytes, so the gateway sees a request begin but not end; its end is the line that Caddy
writes into its access log, with the number that the request was given at the door. A line that never comes
(Caddy was killed) is made up for by the request's own timeout.
"""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

from easel.gateway.backend import Work

# As much of the access log as is read at once: after a night's worth of lines, the last ones matter.
_MOST = 4 * 1024 * 1024


class Passing:
    """Counts open requests by upstream address (`host:port`)."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._numbers = itertools.count(1)
        # Address and latest end of each open request, on the monotonic clock.
        self._open: dict[str, tuple[str, float]] = {}
        self._last: dict[str, float] = {}

    def begin(self, address: str, timeout: float, *, lasting: bool = False) -> str:
        """A request goes to `address`; it cannot be open for longer than `timeout` seconds. Its number.

        `lasting`: a WebSocket or an event stream. It shows that somebody is there, but it stays open as long
        as the tab does, and a tab that is open is not work.
        """
        now = self._last[address] = time.monotonic()
        number = str(next(self._numbers))
        if not lasting:
            self._open[number] = (address, now + timeout)
        return number

    def end(self, number: str) -> None:
        """The request of this number is over."""
        if found := self._open.pop(number, None):
            self._last[found[0]] = time.monotonic()

    def work(self, address: str) -> Work:
        """The requests open at `address`, and for how many seconds there was none."""
        now = time.monotonic()
        for number, (_, until) in list(self._open.items()):
            if until <= now:
                self.end(number)
        running = sum(1 for where, _ in self._open.values() if where == address)
        idle = 0.0 if running else now - self._last.get(address, self._began)
        return Work(running=running, idle_seconds=idle)

    def forget(self, address: str) -> None:
        """The replica is gone; another may get its address."""
        self._open = {number: one for number, one in self._open.items() if one[0] != address}
        self._last.pop(address, None)


class AccessLog:
    """Reads Caddy's access log as it grows, through its rotations, for requests that ended."""

    def __init__(self, path: Path, passing: Passing) -> None:
        self._path = path
        self._passing = passing
        self._inode = 0
        self._offset = 0
        # What was there before us is about another gateway's numbers.
        if path.exists():
            found = path.stat()
            self._inode, self._offset = found.st_ino, found.st_size

    def look(self) -> None:
        """Take the lines written since."""
        try:
            with self._path.open("rb") as file:
                found = self._path.stat()
                if found.st_ino != self._inode or found.st_size < self._offset:
                    self._inode, self._offset = found.st_ino, 0
                self._offset = max(self._offset, found.st_size - _MOST)
                file.seek(self._offset)
                written = file.read(_MOST)
        except OSError:
            return  # Caddy has not written yet, or rotates just now
        whole = written[: written.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            if b'"pass":"' not in line:
                continue
            try:
                self._passing.end(str(json.loads(line)["pass"]))
            except (ValueError, KeyError, TypeError):
                continue
