"""The jobs of a studio: a few at once, the same only once, whose they are; and those of other replicas."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from easel.remark import remark
from easel.studio.activity import Activity
from easel.studio.library.background_job import FINAL, BackgroundJob, JobSpec
from easel.studio.library.remote_jobs import RemoteJob, RemoteJobs
from easel.studio.owner import NotYours

AT_ONCE = 3
"""A machine's network is full with less; each download makes several connections of its own."""
MOST_WAITING = 50
_REMEMBERED, _REMEMBERED_SECONDS = 100, 24 * 3600.0
_TELL_EVERY = 1.0


class TooManyJobs(Exception):
    """Nobody waits for the fifty-first."""


class NoSuchJob(Exception):
    """No job of this id, or it was forgotten."""


class BackgroundJobs:
    """Thread-safe. While one is under way, `activity` says that the machine must not be put to sleep.

    Through `remote` other replicas hear of the jobs here, and theirs are found, too.
    """

    def __init__(self, activity: Activity, remote: RemoteJobs) -> None:
        self._activity = activity
        self._lock = threading.Lock()
        self._jobs: dict[str, BackgroundJob] = {}
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="library")
        self._remote = remote
        self._teller: threading.Thread | None = None
        self._news = threading.Event()
        self._told: set[str] = set()

    def start(self, owner: str, spec: JobSpec) -> BackgroundJob:
        """The job that does this: who asks for what is under way joins it. Raises TooManyJobs."""
        with self._lock:
            self._forget()
            going = [job for job in self._jobs.values() if job.state not in FINAL]
            for job in going:
                if (job.spec.kind, job.spec.key) == (spec.kind, spec.key) and not job.cancelled:
                    job.owners.add(owner)
                    return job
            if len(going) >= MOST_WAITING:
                raise TooManyJobs(
                    remark(
                        "too_many_jobs",
                        "{n} downloads are under way or waiting; wait for some of them",
                        n=len(going),
                    )
                )
            job = BackgroundJob(spec)
            job.owners.add(owner)
            self._jobs[job.id] = job
            self._workers.submit(self._run, job)
            if self._teller is None:
                self._teller = threading.Thread(target=self._tell, name="remote-jobs", daemon=True)
                self._teller.start()
            return job

    def find(self, number: str) -> BackgroundJob | RemoteJob:
        """Raises NoSuchJob."""
        with self._lock:
            job = self._jobs.get(number)
        found = job or self._remote.find(number)
        if found is None:
            raise NoSuchJob(
                remark(
                    "no_such_job",
                    "there is no such job; the studio may have been started anew: start it again",
                )
            )
        return found

    def again(self, number: str, owner: str) -> BackgroundJob:
        """Start anew what failed or was cancelled. Raises NoSuchJob, TooManyJobs.

        Only the replica that ran it knows its address, which others are not told: there may be a key in it.
        """
        with self._lock:
            job = self._jobs.get(number)
        if job is None:
            raise NoSuchJob("this replica did not run that job; start it again with its address")
        return self.start(owner, job.spec)

    def all(self) -> list[BackgroundJob | RemoteJob]:
        """The newest first."""
        own = self._own()
        elsewhere = self._remote.others({job.id for job in own})
        return sorted([*own, *elsewhere], key=lambda job: -job.created)

    def cancel(self, number: str, owner: str) -> BackgroundJob | RemoteJob:
        """`owner` does not want it any more; it ends when nobody does. Raises NoSuchJob, NotYours."""
        job = self.find(number)
        with self._lock:
            if job.state in FINAL:
                return job
            if owner not in job.owners:
                raise NotYours(
                    remark("job_of_another", "somebody else asked for this; only they can cancel it")
                )
            if isinstance(job, RemoteJob):
                job.jobs.ask_to_cancel(number, owner)
                return job
            job.owners.discard(owner)
            wanted = bool(job.owners)
            if not wanted:
                job.owners.add(owner)  # still theirs to look at
        if not wanted:
            job.cancel()
        return job

    def close(self) -> None:
        """Stop everything; what downloads have brought is kept."""
        for job in self._own():
            job.cancel()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._news.set()

    def _own(self) -> list[BackgroundJob]:
        with self._lock:
            return list(self._jobs.values())

    def _run(self, job: BackgroundJob) -> None:
        with self._activity.busy():
            job.run()
        self._news.set()

    def _tell(self) -> None:
        """Tell other replicas how it goes, until all has ended and that is told, too."""
        while True:
            self._news.clear()
            for job in self._own():
                if job.id not in self._told:
                    if job.state in FINAL:
                        self._told.add(job.id)
                    self._remote.publish(job.view(), job.owners)
                    for owner in self._remote.cancel_requests(job.id):
                        self._cancel_noted(job.id, owner)
            with self._lock:
                if all(job.id in self._told for job in self._jobs.values()):
                    # Under the lock, so that a job that begins right now starts another.
                    self._teller = None
                    return
            self._news.wait(_TELL_EVERY)

    def _cancel_noted(self, number: str, owner: str) -> None:
        try:
            self.cancel(number, owner)
        except (NoSuchJob, NotYours):
            return  # a note of somebody who may not, or came too late

    def _forget(self) -> None:
        done = sorted(
            (job for job in self._jobs.values() if job.state in FINAL), key=lambda job: -job.finished
        )
        old = time.time() - _REMEMBERED_SECONDS
        for place, job in enumerate(done):
            if place >= _REMEMBERED or job.finished < old:
                del self._jobs[job.id]
                self._told.discard(job.id)
