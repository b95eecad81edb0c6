"""Task ids: the names that A1111's clients give to requests, and the jobs behind them."""

from __future__ import annotations

import threading
from collections import OrderedDict

from easel.studio.engine import FINAL, Job

MAX_REMEMBERED = 1000


class Tasks:
    """Jobs by owner and task id, the last thousand tasks. Safe to use from any thread.

    A task is one request of a client: one job, or with a script many, in the order they were handed over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[tuple[str, str], tuple[Job, ...]] = OrderedDict()
        self._names: dict[str, str] = {}

    def name(self, job: Job, task_id: str | None = None, *, before: tuple[Job, ...] = ()) -> str:
        """Note a job under a client's own `task_id`, or under one made here, and return it.

        `before` are the jobs that were handed over for the same request earlier.
        """
        given = task_id or f"task({(*before, job)[0].id})"
        with self._lock:
            self._jobs[job.owner, given] = (*before, job)
            self._names[job.id] = given
            while len(self._jobs) > MAX_REMEMBERED:
                _, old = self._jobs.popitem(last=False)
                for one in old:
                    self._names.pop(one.id, None)
        return given

    def id_of(self, job: Job) -> str:
        """The task id of a job."""
        return self._names.get(job.id, f"task({job.id})")

    def find(self, owner: str, task_id: str) -> tuple[Job, ...]:
        """The owner's jobs of that name, unfinished or not long finished; none if there is no such task."""
        return self._jobs.get((owner, task_id), ())

    def together(self, job: Job) -> tuple[Job, ...]:
        """All jobs of the request that this one belongs to, itself among them."""
        return self.find(job.owner, self.id_of(job)) or (job,)

    def pending(self, owner: str) -> list[str]:
        """Task ids of an owner's requests that are not finished, in order."""
        with self._lock:
            return [
                task
                for (whose, task), jobs in self._jobs.items()
                if whose == owner and any(job.state not in FINAL for job in jobs)
            ]
