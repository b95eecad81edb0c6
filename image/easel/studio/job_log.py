"""A line when a job is accepted and a line when it has ended, with what it cost. Never what it draws."""

from __future__ import annotations

import threading
import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import structlog

from easel.studio.engine import EngineObserver, Job, TimedCall
from easel.studio.metrics import REQUEST_ID
from easel.studio.metrics.engine_metrics import OUTCOMES, kind_of, pixels_of

log = structlog.get_logger(__name__)


@dataclass
class _Account:
    """What is known of a job beside itself."""

    request_id: str | None = None
    begun: float | None = None
    device_seconds: float = 0.0
    steps: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class JobLog(EngineObserver):
    """Writes the lines of one endpoint's jobs, and knows what other lines should say of them."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._accounts: WeakKeyDictionary[Job, _Account] = WeakKeyDictionary()
        self._by_id: WeakValueDictionary[str, Job] = WeakValueDictionary()
        self._lock = threading.Lock()

    def with_job(self, _: object, __: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A processor of structlog: a line with a `job` says whose it is and what asked for it."""
        record.setdefault("endpoint", self._endpoint)
        job = self._by_id.get(str(record.get("job", "")))
        if job is not None:
            for name, value in self._fields(job).items():
                record.setdefault(name, value)
        return record

    def accepted(self, job: Job) -> None:
        """The first line."""
        # On the thread of the request that asks for it; what the page has drawn later has none.
        self._account(job).request_id = structlog.contextvars.get_contextvars().get(REQUEST_ID)
        asked = job.request
        log.info(
            "job accepted", job=job.id, **self._fields(job), kind=kind_of(job), pictures=len(job.wanted),
            width=asked.width, height=asked.height, sampler=asked.sampler,
        )  # fmt: skip
        job.future.add_done_callback(lambda _: self._ended(job))

    def refused(self, error: Exception) -> None:
        """The only line."""
        log.info("job refused", endpoint=self._endpoint, error=type(error).__name__)

    def begun(self, job: Job) -> None:
        """Note when."""
        self._account(job).begun = time.monotonic()

    def called(self, call: TimedCall) -> None:
        """Each picture in a call has its share of it."""
        for job in call.jobs:
            account = self._account(job)
            account.device_seconds += call.seconds / len(call.jobs)
            account.steps += call.kind == "backbone"

    def _ended(self, job: Job) -> None:
        account, now = self._account(job), time.monotonic()
        error = job.future.exception(timeout=0)
        drawn = [] if error else job.future.result(timeout=0)
        log.info(
            "job ended", job=job.id, **self._fields(job), kind=kind_of(job),
            outcome=OUTCOMES[job.state], error=type(error).__name__ if error else None,
            waiting_seconds=round((account.begun or now) - job.submitted, 3),
            seconds=round(now - job.submitted, 3), device_seconds=round(account.device_seconds, 3),
            steps=int(account.steps), pictures=len(drawn), pixels=pixels_of(drawn),
        )  # fmt: skip

    def _fields(self, job: Job) -> dict[str, Any]:
        checkpoint = job.checkpoint
        return {
            "person": job.owner,
            "endpoint": self._endpoint,
            "checkpoint": None if checkpoint is None else checkpoint.name,
            REQUEST_ID: self._account(job).request_id,
        }

    def _account(self, job: Job) -> _Account:
        with self._lock:
            self._by_id[job.id] = job
            return self._accounts.setdefault(job, _Account())
