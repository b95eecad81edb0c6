"""How long a gateway that was told to end goes on for those who are at its door."""

from __future__ import annotations

import time
from collections.abc import Callable

# Seconds without anybody. Between a request that is held and its way to a replica, or to a second one in
# place of the first, it is nowhere for some milliseconds.
_QUIET = 1.0


class Leaving:
    """Begins when it is made. `within` is the most seconds that it lasts; `busy` tells whether somebody still
    waits for an answer."""

    def __init__(
        self, within: float, busy: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._busy = busy
        self._clock = clock
        self._quiet_since = clock()
        self._deadline = self._quiet_since + within

    def over(self) -> bool:
        """Whether the gateway may end now."""
        now = self._clock()
        if self._busy():
            self._quiet_since = now
        return now >= self._deadline or now - self._quiet_since >= _QUIET
