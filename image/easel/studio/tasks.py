"""Task ids: the names that A1111's clients give to requests, and the jobs behind them."""

from __future__ import annotations

import threading
from collections import OrderedDict

from easel.studio.engine import FINAL, Job

MAX_REMEMBERED = 1000


class Tasks:
    """Jobs by owner and task id, the last thousand. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[tuple[str, str], Job] = OrderedDict()
        self._names: dict[str, str] = {}

    def name(self, job: Job, task_id: str | None = None) -> str:
        """Note a job under a client's own `task_id`, or under one made here, and return it."""
        given = task_id or f"task({job.id})"
        with self._lock:
            self._jobs[job.owner, given] = job
            self._names[job.id] = given
            while len(self._jobs) > MAX_REMEMBERED:
                _, old = self._jobs.popitem(last=False)
                self._names.pop(old.id, None)
        return given

    def id_of(self, job: Job) -> str:
        """The task id of a job."""
        return self._names.get(job.id, f"task({job.id})")

    def find(self, owner: str, task_id: str) -> Job | None:
        """The owner's job of that name, unfinished or not long finished."""
        return self._jobs.get((owner, task_id))

    def pending(self, owner: str) -> list[str]:
        """Task ids of an owner's jobs that are not finished, in order."""
        with self._lock:
            return [
                task for (whose, task), job in self._jobs.items() if whose == owner and job.state not in FINAL
            ]
