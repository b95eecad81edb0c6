"""How far a download is, as one small value that a terminal, a page and an API can all show."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from easel.models.sizes import gigabytes, part_of_whole


class Phase(StrEnum):
    """What is being done."""

    ASKING = "asking"
    WAITING = "waiting"  # another process downloads the same file
    FETCHING = "fetching"
    CHECKING = "checking"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """`done` of `total` bytes (None: not known yet) at `speed` bytes a second.

    `note` says what is waited for, where it is something else than bytes.
    """

    name: str
    phase: Phase
    done: int = 0
    total: int | None = None
    speed: float = 0.0
    note: str = ""

    @property
    def left(self) -> float | None:
        """Seconds left at this speed; None if nobody knows."""
        if self.total is None or self.speed <= 0 or self.phase not in (Phase.FETCHING, Phase.WAITING):
            return None
        return (self.total - self.done) / self.speed

    @property
    def words(self) -> str:
        """One line: "fetching 2.1 of 6.9 GB, 48.0 MB a second, 1 min 40 s left"."""
        said = {Phase.WAITING: "another process fetches it", Phase.DONE: "done"}.get(
            self.phase, str(self.phase)
        )
        if self.total:
            said += (
                f" {part_of_whole(self.done, self.total)}"
                if self.done < self.total
                else f" {gigabytes(self.total)}"
            )
        elif self.done:
            said += f" {gigabytes(self.done)}"
        if self.speed > 0 and self.phase in (Phase.FETCHING, Phase.WAITING):
            said += f", {gigabytes(int(self.speed))} a second"
        left = self.left
        if left is not None:
            said += f", {duration(left)} left"
        return f"{said}; {self.note}" if self.note else said


Watcher = Callable[[FetchProgress], None]
"""What is told of progress, some times a second, from the thread that downloads."""


@dataclass(frozen=True, slots=True)
class FetchControl:
    """Who watches a fetch, and who may end it: `stopped` is asked some times a second."""

    watcher: Watcher = lambda progress: None
    stopped: Callable[[], bool] = lambda: False


def duration(seconds: float) -> str:
    """Seconds in words: "40 s", "1 min 40 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Speed:
    """Bytes a second over the last seconds."""

    def __init__(self, window: float = 5.0) -> None:
        self._window = window
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, done: int) -> float:
        """The speed now that `done` bytes are there."""
        now = time.monotonic()
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()  # it was begun anew
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > self._window:
            self._seen.popleft()
        then, before = self._seen[0]
        passed = now - then
        return (done - before) / passed if passed > 0 else 0.0
