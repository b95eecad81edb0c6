"""The jobs of one studio: a few at once, the same only once, and whose they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from easel.studio.activity import Activity
from easel.studio.library.job import FINAL, Job

AT_ONCE = 3
"""A machine's network is full with less; each download makes several connections of its own."""
MOST_WAITING = 50
_REMEMBERED, _REMEMBERED_SECONDS = 100, 24 * 3600.0


class TooManyJobs(Exception):
    """Nobody waits for the fifty-first."""


class NoSuchJob(Exception):
    """No job of this id, or the studio has been started anew since."""


class NotYours(Exception):
    """Somebody else asked for it."""


class Jobs:
    """Thread-safe. While one is under way, `activity` says that the machine must not be put to sleep."""

    def __init__(self, activity: Activity, at_once: int = AT_ONCE) -> None:
        self._activity = activity
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._workers = ThreadPoolExecutor(at_once, thread_name_prefix="library")

    def start(
        self, owner: str, kind: str, asked: str, title: str, work: Callable[[Job], dict[str, Any]]
    ) -> tuple[Job, bool]:
        """The job that does this, and whether it is new: who asks for what is under way joins it.

        Raises TooManyJobs.
        """
        with self._lock:
            self._forget()
            going = [job for job in self._jobs.values() if job.state not in FINAL]
            for job in going:
                if (job.kind, job.asked) == (kind, asked) and not job.cancelled:
                    job.owners.add(owner)
                    return job, False
            if len(going) >= MOST_WAITING:
                raise TooManyJobs(f"{len(going)} downloads are under way or waiting; wait for some of them")
            job = Job(kind, asked, title, work)
            job.owners.add(owner)
            self._jobs[job.id] = job
            self._workers.submit(self._run, job)
            return job, True

    def find(self, number: str) -> Job:
        """Raises NoSuchJob."""
        with self._lock:
            job = self._jobs.get(number)
        if job is None:
            raise NoSuchJob("there is no such job; the studio may have been started anew: start it again")
        return job

    def all(self) -> list[Job]:
        """The newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: -job.created)

    def cancel(self, number: str, owner: str) -> Job:
        """`owner` does not want it any more; it ends when nobody does. Raises NoSuchJob, NotYours."""
        job = self.find(number)
        with self._lock:
            if job.state in FINAL:
                return job
            if owner not in job.owners:
                raise NotYours("somebody else asked for this; only they can cancel it")
            job.owners.discard(owner)
            wanted = bool(job.owners)
            if not wanted:
                job.owners.add(owner)  # still theirs to look at
        if not wanted:
            job.cancel()
        return job

    def expected(self, but: Job) -> int:
        """Bytes that the other downloads under way will have brought."""
        going = [job for job in self.all() if job is not but and job.state not in FINAL]
        return sum(job.expected for job in going)

    def close(self) -> None:
        """Stop everything; what downloads have brought is kept."""
        for job in self.all():
            job.cancel()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: Job) -> None:
        with self._activity.busy():
            job.run()

    def _forget(self) -> None:
        done = sorted(
            (job for job in self._jobs.values() if job.state in FINAL), key=lambda job: -job.finished
        )
        old = time.time() - _REMEMBERED_SECONDS
        for place, job in enumerate(done):
            if place >= _REMEMBERED or job.finished < old:
                del self._jobs[job.id]
