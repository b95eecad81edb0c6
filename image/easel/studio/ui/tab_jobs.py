"""Which job belongs to which tab."""

from __future__ import annotations

import threading

from easel.studio.engine import Job


class TabJobs:
    """The job of each open tab. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[tuple[str, str], Job] = {}

    def begin(self, owner: str, tab: str, job: Job) -> None:
        """The tab draws this now; what it drew before is given up."""
        with self._lock:
            before = self._jobs.get((owner, tab))
            self._jobs[owner, tab] = job
        if before is not None:
            before.cancel()

    def end(self, owner: str, tab: str, job: Job) -> None:
        """The job is over."""
        with self._lock:
            if self._jobs.get((owner, tab)) is job:
                del self._jobs[owner, tab]

    def stop(self, owner: str, tab: str, *, keep_partial: bool) -> None:
        """Cancel the tab's job, if it has one."""
        with self._lock:
            job = self._jobs.get((owner, tab))
        if job is not None:
            job.cancel(keep_partial=keep_partial)
