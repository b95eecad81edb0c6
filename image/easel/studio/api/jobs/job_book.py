"""Which asynchronous requests there are: under way or waiting, and those that ended lately."""

from __future__ import annotations

import contextlib
import time

from easel.studio.api.jobs.async_job import AsyncJob
from easel.studio.api.jobs.record import RESULT_KEPT, AcceptedRequest
from easel.studio.durable_jobs import Journal


class NoSuchTicket(LookupError):
    """The caller has no job of that id."""


class JobBook:
    """Changed on the event loop only, and read on any thread."""

    def __init__(self, journal: Journal[AcceptedRequest]) -> None:
        self.open: dict[str, AsyncJob] = {}
        self.ended: dict[str, AcceptedRequest] = {}
        self._journal = journal

    def running(self, owner: str) -> list[AsyncJob]:
        """What an owner has under way or waiting, in its order."""
        mine = [job for job in list(self.open.values()) if job.record.owner == owner]
        return sorted(mine, key=lambda job: (not job.begun, job.record.place))

    def owners(self) -> set[str]:
        """Whose jobs are under way or waiting."""
        return {job.record.owner for job in list(self.open.values())}

    def find(self, owner: str, id: str) -> AsyncJob | None:
        """One that an owner has under way or waiting."""
        job = self.open.get(id)
        return job if job is not None and job.record.owner == owner else None

    def latest(self, owner: str) -> list[AcceptedRequest]:
        """What ended within the hour, the newest first."""
        self._forget()
        found = [record for record in list(self.ended.values()) if record.owner == owner]
        return sorted(found, key=lambda record: record.ended or 0.0, reverse=True)

    def record(self, owner: str, id: str) -> AcceptedRequest:
        """What is kept of one; also of another process's. Raises NoSuchTicket."""
        self._forget()
        job = self.open.get(id)
        record = job.record if job else self.ended.get(id) or self._journal.read_if_there(id)
        if record is None or record.owner != owner or record.outlived:
            raise NoSuchTicket(id)
        return record

    def news(self, owner: str) -> list[AcceptedRequest]:
        """Those of which an owner has to be told, once. On a thread that may wait for a disk."""
        found = []
        for record in list(self.ended.values()):
            if record.owner == owner and record.told:
                found.append(record.model_copy())
                record.told = ""
                with contextlib.suppress(OSError):
                    self._journal.write(record)
        return found

    def _forget(self) -> None:
        gone = [id for id, one in list(self.ended.items()) if one.outlived]
        old = [
            id
            for id, one in list(self.ended.items())
            if not one.told and time.time() - (one.ended or 0) > RESULT_KEPT
        ]
        for id in {*gone, *old}:
            self.ended.pop(id, None)
