"""Work that outlives the tab it was started from: a download, a scan, a look for new versions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import uuid4

import structlog
from pydantic import BaseModel, Field

from easel.models import FetchProgress, Interrupted, ModelError, Phase
from easel.remark import Remark, remark, said_by
from easel.studio.coded_text import CodedText

log = structlog.get_logger(__name__)

# A server that sends a byte now and then keeps a GPU awake for nothing: so little in so long is no download.
STALLED_AFTER, STALLED_BELOW = 600.0, 1_000_000
_PHASES = {
    Phase.ASKING: remark("fetch_asking", "asking the source"),
    Phase.WAITING: remark("fetch_waiting", "another process fetches it"),
    Phase.FETCHING: remark("fetch_begun", "fetching"),
    Phase.CHECKING: remark("fetch_checking", "checking"),
    Phase.DONE: remark("fetch_done", "done"),
}


class BackgroundJobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({BackgroundJobState.DONE, BackgroundJobState.FAILED, BackgroundJobState.CANCELLED})


class JobError(BaseModel):
    """Why a job failed, as A1111 words errors."""

    error: str = Field(description="the kind of error")
    detail: str
    body: str = ""
    errors: str = Field(description="what is wrong and what to do about it, in one line")


class JobView(BaseModel):
    """A job as it is now."""

    id: str
    kind: str = Field(description="download, scan or updates")
    title: str
    state: BackgroundJobState
    words: str = Field(description="how far it is, in one line")
    remark: CodedText | None = Field(None, description="`words` by their code")
    done: int = Field(0, description="bytes of a download, files of a scan")
    total: int | None = Field(None, description="null until it is known")
    speed: float = Field(0.0, description="bytes a second")
    left: float | None = Field(None, description="seconds left at this speed")
    created: float = Field(description="Unix seconds")
    finished: float | None = None
    mine: bool = Field(False, description="whether the caller asked for it, so may cancel it")
    error: JobError | None = None
    result: dict[str, Any] | None = Field(None, description="what came of it, once it is done")


@dataclass(frozen=True)
class JobSpec:
    """What a job is to do.

    `work` runs in a worker's thread, tells the job how far it is and gives its result. `key` is the same for
    jobs of a `kind` that would do the same.
    """

    kind: str
    key: str
    title: str
    work: Callable[[BackgroundJob], dict[str, Any]]


class BackgroundJob:
    """One job, in whatever state."""

    def __init__(self, spec: JobSpec) -> None:
        self.id, self.spec, self.title = uuid4().hex[:16], spec, spec.title
        self.owners: set[str] = set()
        self.state = BackgroundJobState.QUEUED
        self.created, self.finished = time.time(), 0.0
        self._lock = threading.RLock()
        self._cancelled = threading.Event()
        self._progress = FetchProgress(spec.title, Phase.ASKING)
        self._words = ""
        self._remark: CodedText | None = None
        self._error: JobError | None = None
        self._result: dict[str, Any] | None = None
        self._gained = (time.monotonic(), 0)

    def run(self) -> None:
        """Do the work. Raises nothing: what goes wrong is the job's."""
        with self._lock:
            if self.state is not BackgroundJobState.QUEUED:
                return
            self.state = BackgroundJobState.RUNNING
        self._gained = (time.monotonic(), 0)
        try:
            result = self.spec.work(self)
        except Interrupted as error:
            if self._cancelled.is_set():
                self._end(BackgroundJobState.CANCELLED)
            else:
                minutes = round(STALLED_AFTER / 60)
                self._fail(
                    "Stalled",
                    remark(
                        "stalled",
                        "{name}: hardly anything came for {n} minutes, so it was stopped; what is "
                        "there is kept. Start it again, or look for another source",
                        name=error.name,
                        n=minutes,
                    ),
                )
        except ModelError as error:
            self._fail(type(error).__name__, said_by(error))
        except Exception as error:
            log.exception("job failed", job=self.id, kind=self.spec.kind)
            self._fail(type(error).__name__, f"{type(error).__name__}; the studio's log says more")
        else:
            with self._lock:
                self._result = result
            self._end(BackgroundJobState.DONE)

    def cancel(self) -> None:
        """Stop it; what a download has brought is kept for the next try."""
        self._cancelled.set()
        with self._lock:
            if self.state is BackgroundJobState.QUEUED:
                self._end(BackgroundJobState.CANCELLED)

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._cancelled.is_set()

    def stopped(self) -> bool:
        """For the downloader: whether to end now."""
        return self._cancelled.is_set() or self._is_stalled()

    def tell(self, progress: FetchProgress) -> None:
        """For the downloader: how far it is."""
        with self._lock:
            self._progress = progress
            if progress.phase is not Phase.ASKING:
                self.title = progress.name  # the source has said it by now

    def say(self, words: str, done: int, total: int | None) -> None:
        """For work that counts something else than bytes."""
        with self._lock:
            self._words = words
            self._progress = FetchProgress(self.title, Phase.ASKING, done, total)

    def pause(self, seconds: float) -> bool:
        """Wait; True if somebody asked to stop meanwhile."""
        return self._cancelled.wait(seconds)

    def view(self, owner: str = "") -> JobView:
        """How it is now, as `owner` may see it."""
        with self._lock:
            now, running = self._progress, self.state is BackgroundJobState.RUNNING
            words = {
                BackgroundJobState.QUEUED: "waiting for other downloads",
                BackgroundJobState.DONE: self._words or "done",
                BackgroundJobState.CANCELLED: "cancelled; what came is kept, and the same download goes on "
                "from there",
                BackgroundJobState.FAILED: self._error.errors if self._error else "failed",
                BackgroundJobState.RUNNING: self._words or now.words,
            }[self.state]
            if running and self.cancelled:
                words = remark("fetch_stopping", "stopping")
            return JobView(
                id=self.id, kind=self.spec.kind, title=self.title, state=self.state, words=words,
                done=now.done, total=now.total, speed=round(now.speed) if running else 0.0,
                left=now.left if running else None, created=self.created,
                finished=self.finished or None, mine=owner in self.owners,
                error=self._error, result=self._result, remark=self._remark or self._coded(words),
            )  # fmt: skip

    def _coded(self, words: str) -> CodedText | None:
        """What the page says in its language; the numbers of a download it has for itself."""
        if self.state is BackgroundJobState.RUNNING and not isinstance(words, Remark):
            words, note = _PHASES[self._progress.phase], self._progress.note
            words = remark("fetch_noted", "{phase}; {note}", phase=words, note=note) if note else words
        return CodedText.of(words) if isinstance(words, Remark) else None

    def _is_stalled(self) -> bool:
        now = self._progress
        since, before = self._gained
        if (
            now.phase not in (Phase.FETCHING, Phase.WAITING)
            or not before <= now.done < before + STALLED_BELOW
        ):
            self._gained = (time.monotonic(), now.done)
            return False
        return time.monotonic() - since > STALLED_AFTER

    def _fail(self, kind: str, words: str) -> None:
        log.info("job failed", job=self.id, kind=self.spec.kind, error=kind, reason=words)
        with self._lock:
            self._error = JobError(error=kind, detail=words, errors=words)
            self._remark = CodedText.of(words)
        self._end(BackgroundJobState.FAILED)

    def _end(self, state: BackgroundJobState) -> None:
        with self._lock:
            self.state, self.finished = state, time.time()
