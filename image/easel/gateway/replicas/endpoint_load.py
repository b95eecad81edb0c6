"""Who asked for an endpoint and when, and what it has to do."""

from __future__ import annotations

import time
from collections.abc import Sequence

from easel.gateway.replicas.autoscaler import Load, Peak
from easel.gateway.replicas.backend import Replica


class EndpointLoad:
    """Of one endpoint. Times are seconds on the monotonic clock; `lull` is how long a peak is remembered."""

    def __init__(self, lull: float) -> None:
        self._lull = lull
        self._active_at: float | None = None
        self._asked_at = 0.0
        # Somebody asked, and no replica was ready since.
        self._unserved = False
        self._peak = Peak(lull)

    def ask(self) -> None:
        """Somebody wants it."""
        self._active_at = self._asked_at = time.monotonic()
        self._unserved = True

    def rest(self) -> None:
        """Nobody does any more: it was put to sleep."""
        self._active_at, self._unserved = None, False
        self._peak = Peak(self._lull)

    def within(self, seconds: float, now: float) -> bool:
        """Whether it was in use in the last `seconds`."""
        return self._active_at is not None and now - self._active_at < seconds

    def asked(self, seconds: float, now: float) -> bool:
        """Whether somebody asked in the last `seconds`, and is not served yet."""
        return self._unserved and now - self._asked_at < seconds

    def load(self, replicas: Sequence[Replica], waiting: int, patience: float, now: float) -> Load:
        """What it has to do now. `patience`: seconds that who asked may have to wait for its start."""
        self._unserved = self._unserved and not any(one.state == "ready" for one in replicas)
        work = [replica.work for replica in replicas if replica.work and replica.state == "ready"]
        running, queued = sum(one.running for one in work), sum(one.queued for one in work)
        starts = any(replica.state in ("starting", "loading") for replica in replicas)
        # What somebody asked for may take longer to start than `idle`; it must not be put to sleep before.
        wanted = self._active_at is not None and now - self._asked_at < patience
        if running or queued or waiting or (starts and wanted):
            self._active_at = now
        elif work and self._active_at is not None:
            # The replica knows of pictures drawn between two looks.
            self._active_at = max(self._active_at, now - min(one.idle_seconds for one in work))
        recent = self._peak.add(running + queued + waiting, now)
        return Load(running, queued, waiting, recent, self._active_at, self.asked(patience, now))
