"""A limit on bytes a second, shared by all connections of a process."""

from __future__ import annotations

import threading
import time


class Throttle:
    """Lets `rate` bytes a second pass, with up to a quarter of a second's worth at once. 0 is no limit."""

    def __init__(self, rate: float = 0.0) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, count: int) -> None:
        """Wait until `count` more bytes may pass."""
        if self._rate <= 0:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 0.25) + count / self._rate
            wait = self._free_at - now
        if wait > 0:
            time.sleep(wait)
