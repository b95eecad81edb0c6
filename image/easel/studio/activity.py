"""Whether somebody sends or fetches files: it keeps an endpoint awake as drawing does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Activity:
    """Counts transfers under way. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._last: float | None = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Something is under way."""
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._last = time.monotonic()

    @property
    def running(self) -> int:
        """Transfers under way."""
        with self._lock:
            return self._running

    def idle_seconds(self, otherwise: float) -> float:
        """For how long there was nothing, here and by `otherwise`, what somebody else counted."""
        with self._lock:
            if self._running:
                return 0.0
            return otherwise if self._last is None else min(otherwise, time.monotonic() - self._last)
