"""Checkpoints that people chose and have not drawn with yet: the last choice of each, once it has settled.

Who walks through a list with the arrow keys chooses ten and means the last. So a choice counts after a
moment, and a later one of the same person takes its place; another person's takes nobody's.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from easel.models import ModelFile

SETTLED_AFTER = 0.7
"""Seconds after which a choice is taken for meant."""
# Who has not drawn with it by then went elsewhere; and one machine loads for so many people at the most.
_FORGOTTEN_AFTER, _MOST = 300.0, 20


class PrefetchRequests:
    """Thread-safe. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[str, tuple[ModelFile, float]] = OrderedDict()

    def add(self, owner: str, file: ModelFile) -> None:
        """`owner` chose this checkpoint."""
        with self._lock:
            self._made.pop(owner, None)
            self._made[owner] = (file, time.monotonic())
            while len(self._made) > _MOST:
                self._made.popitem(last=False)

    def oldest(self) -> ModelFile | None:
        """The one to load next, which stays until it is `done`; None if none has settled."""
        now = time.monotonic()
        with self._lock:
            for owner, (file, at) in list(self._made.items()):
                if now - at > _FORGOTTEN_AFTER:
                    del self._made[owner]
                elif now - at >= SETTLED_AFTER:
                    return file
        return None

    def done(self, file: ModelFile) -> None:
        """It is loaded, or on its way, or cannot be: the request is done."""
        with self._lock:
            for owner, (chosen, _) in list(self._made.items()):
                if chosen == file:
                    del self._made[owner]

    def due(self) -> float | None:
        """Seconds until it pays to look again; None while there is none."""
        now = time.monotonic()
        with self._lock:
            if not self._made:
                return None
            # One that has settled waits for the one that is being loaded.
            return min(max(0.5, at + SETTLED_AFTER - now) for _, at in self._made.values())
