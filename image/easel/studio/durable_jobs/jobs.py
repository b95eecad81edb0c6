"""Jobs of the page: kept on disk until they are drawn, each picture saved as it comes, and drawn again by the
next process if this one dies.

The rule: a caller who is gone stops costing, a studio that is gone is no caller. Closing the tab ends its
job, and what was finished by then is saved. A studio that was killed draws what was left, from the same
seeds, into the gallery of whoever asked.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import structlog

from easel.models import ModelError
from easel.studio import infotext
from easel.studio.durable_jobs.journal import JobJournal, JobRecord
from easel.studio.engine import Drawn, Engine, EngineError, Job, Stopped, TextToImage
from easel.studio.outputs import NotSaved, Outputs
from easel.studio.png import SMALL, encode

log = structlog.get_logger(__name__)

TRIES = 2
"""Processes that may end while they draw a job, before it is taken for what ends them."""
TAKEN = 20
"""Times that a job is taken over at all, begun or not."""
TOO_OLD = 24 * 3600.0
"""Seconds after which nobody waits for a picture any more."""
LOOK_EVERY = 60.0
"""Seconds between looks for what other replicas left; a lock on another machine is dead after as many."""


@dataclass(frozen=True)
class SavedPicture:
    """A finished picture: its infotext, and where it is saved or why it is not."""

    drawn: Drawn
    text: str
    path: Path | None
    problem: str = ""


@dataclass(frozen=True)
class JobNews:
    """Something to tell somebody when they come back to the page."""

    words: str
    bad: bool


class DurableJob:
    """A job of the page on its way to the gallery. The engine's `Watcher`."""

    job: Job

    def __init__(self, durable_jobs: DurableJobs, entry: JobRecord, *, again: bool = False) -> None:
        self.entry = entry
        self.again = again
        """Whether another process began it; then nobody holds its tab."""
        self.saved: Future[list[SavedPicture]] = Future()
        """The pictures in order once the job has ended and all of them are saved, or what ended it."""
        self.kept: dict[int, SavedPicture] = {}
        self.tasks: list[Future[None]] = []
        self._jobs = durable_jobs

    def begun(self) -> None:
        """The engine begins it."""
        self._jobs.later(self, self._jobs.note_begun, self)

    def drawn(self, picture: Drawn) -> None:
        """The engine has finished a picture."""
        self._jobs.later(self, self._jobs.save, self, picture)


class DurableJobs:
    """Thread-safe. `hashed` completes a picture's files with their hashes."""

    def __init__(
        self, engine: Engine, outputs: Outputs, hashed: Callable[[Drawn], Drawn], folder: Path
    ) -> None:
        self._engine, self._outputs, self._hashed = engine, outputs, hashed
        self._journal = JobJournal(folder)
        # Encoding a large picture takes a second; the engine goes on meanwhile.
        self._savers = ThreadPoolExecutor(2, thread_name_prefix="saving")
        self._lock = threading.Lock()
        self._tasks: set[Future[None]] = set()
        self._tasks_lock = threading.Lock()
        self._again: list[DurableJob] = []
        self._suspects: deque[JobRecord] = deque()
        self._stopping = threading.Event()

    def submit(self, owner: str, request: TextToImage) -> DurableJob:
        """Hand a request to the engine, and keep it until it is drawn. Raises what `Engine.submit` raises."""
        settled = self._engine.settled(request)
        durable = DurableJob(
            self,
            JobRecord(
                id=uuid.uuid4().hex, owner=owner, by=self._journal.process, at=time.time(), request=settled
            ),
        )
        self._write(durable.entry)
        try:
            self._hand_in(durable)
        except Exception:
            self._journal.remove(durable.entry.id)
            raise
        return durable

    def start(self) -> None:
        """Look for what dead processes left, now and then, from a thread of its own."""
        threading.Thread(target=self._keep_looking, name="accepted", daemon=True).start()

    def close(self, timeout: float) -> None:
        """Save what is drawn, within `timeout` seconds. What was not drawn is the next process's."""
        self._stopping.set()
        with self._tasks_lock:
            open_tasks = list(self._tasks)
        wait(open_tasks, timeout)
        self._journal.close()

    def resume(self) -> int:
        """Take over what dead processes left and draw it. Says how many jobs are drawn again."""
        count = 0
        for entry in self._journal.take_over(JobRecord.note_saved):
            words = self._why_not(entry)
            if not entry.missing:
                self._journal.remove(entry.id)
            elif words:
                self._tell(entry, words, bad=True)
            elif entry.tries:
                with self._lock:
                    self._suspects.append(entry)
                count += 1
            else:
                count += self._draw_again(entry)
        self._draw_a_suspect()
        return count

    def news(self, owner: str) -> list[JobNews]:
        """What `owner` has to be told: once, but for what is still being drawn."""
        found = []
        for entry in self._journal.news(owner):
            found.append(JobNews(entry.told, entry.bad))
            self._journal.remove(entry.id)
        with self._lock:
            entries = [*(durable.entry for durable in self._again), *self._suspects]
        coming = sum(len(entry.missing) for entry in entries if entry.owner == owner)
        if coming:
            words = f"The studio was restarted. It draws {_pictures(coming)} again that it had accepted."
            found.append(JobNews(words, bad=False))
        return found

    # What follows runs on the engine's thread (only to hand over) or on the saving threads.

    def later(self, durable: DurableJob, task: Callable[..., None], *arguments: object) -> None:
        """Do it on a saving thread."""
        durable.tasks.append(self._hand(task, *arguments))

    def _hand(self, task: Callable[..., None], *arguments: object) -> Future[None]:
        future = self._savers.submit(task, *arguments)
        with self._tasks_lock:
            self._tasks.add(future)
        future.add_done_callback(self._forget)
        return future

    def _forget(self, future: Future[None]) -> None:
        with self._tasks_lock:
            self._tasks.discard(future)

    def note_begun(self, durable: DurableJob) -> None:
        """Drawing begins: if this process ends now, the job may be what ended it."""
        with self._lock:
            durable.entry.begun = True
            self._write(durable.entry)

    def save(self, durable: DurableJob, picture: Drawn) -> None:
        """One picture into the gallery, exactly once."""
        entry = durable.entry
        drawn = self._hashed(picture)
        text = infotext.describe(drawn)
        staged = self._journal.staging(entry.id, drawn.index)
        try:
            file = encode(drawn.image, text, compress_level=SMALL)
            path = self._outputs.save(entry.owner, file, drawn.seed, staged=staged)
        except NotSaved as error:
            log.error("picture not saved", job=durable.job.id, reason=str(error))
            durable.kept[drawn.index] = SavedPicture(drawn, text, None, str(error))
            return
        durable.kept[drawn.index] = SavedPicture(drawn, text, path)
        with self._lock:
            entry.done = sorted({*entry.done, drawn.index})
            entry.tries = 0
            self._write(entry)
        staged.unlink(missing_ok=True)

    def _hand_in(self, durable: DurableJob) -> None:
        entry = durable.entry
        only = entry.missing if durable.again else None
        durable.job = self._engine.submit(entry.owner, entry.request, only=only, watcher=durable)
        durable.job.future.add_done_callback(lambda _: self._hand(self._end, durable))

    def _end(self, durable: DurableJob) -> None:
        """The job has ended, and so have all tasks that were handed in before."""
        for task in durable.tasks:
            if error := task.exception():
                log.error("not kept", job=durable.job.id, error=type(error).__name__, reason=str(error))
        error = durable.job.future.exception()
        pictures = [durable.kept[index] for index in sorted(durable.kept)]
        unsaved = any(one.path is None for one in pictures)
        with self._lock:
            if durable in self._again:
                self._again.remove(durable)
            if isinstance(error, Stopped):
                # An orderly end is not the job's fault; the next process draws what is left.
                durable.entry.begun = False
                self._write(durable.entry)
            elif not durable.again:
                self._journal.remove(durable.entry.id)
            elif error is not None:
                self._tell(durable.entry, f"Not drawn after a restart of the studio: {error}", bad=True)
            elif not unsaved:  # else it stays, and is drawn again when there is room on the disk
                words = f"The studio was restarted, and drew {_pictures(len(pictures))} again."
                self._tell(durable.entry, words, bad=False)
        if durable.again and not isinstance(error, Stopped):
            self._draw_a_suspect()
        if error is not None:
            durable.saved.set_exception(error)
        else:
            durable.saved.set_result(pictures)

    def _draw_again(self, entry: JobRecord) -> bool:
        durable = DurableJob(self, entry, again=True)
        with self._lock:
            self._again.append(durable)
        try:
            self._hand_in(durable)
        except (EngineError, ModelError) as error:
            with self._lock:
                self._again.remove(durable)
            if not isinstance(error, Stopped):
                self._tell(entry, f"Not drawn after a restart of the studio: {error}", bad=True)
            return False
        log.info("drawn again", job=durable.job.id, pictures=len(entry.missing), tries=entry.tries)
        return True

    def _draw_a_suspect(self) -> None:
        """What a process ended with is drawn one at a time: if another ends, it is known with which."""
        while True:
            with self._lock:
                if not self._suspects or any(durable.entry.tries for durable in self._again):
                    return
                entry = self._suspects.popleft()
            if self._draw_again(entry):
                return

    def _why_not(self, entry: JobRecord) -> str:
        """Why a job that was taken over is not drawn again; "" if it is."""
        if entry.begun:
            entry.begun = False
            entry.tries += 1
        self._write(entry)
        request = entry.request
        which = f"“{request.prompt[:80]}” ({request.width}x{request.height}, seed {request.seed})"
        if entry.tries >= TRIES or entry.taken > TAKEN:
            return (
                f"Not drawn: {which}. The studio ended {entry.tries or entry.taken} times while it was at "
                "it. Draw it smaller, or in fewer pictures; the log of the endpoint says more."
            )
        if time.time() - entry.at > TOO_OLD:
            return f"Not drawn: {which}. The studio was away for more than a day."
        return ""

    def _tell(self, entry: JobRecord, words: str, *, bad: bool) -> None:
        log.info("told", job=entry.id, bad=bad)
        entry.told, entry.bad = words[:4000], bad
        self._write(entry)

    def _write(self, entry: JobRecord) -> None:
        try:
            self._journal.write(entry)
        except (
            OSError,
            ValueError,
        ) as error:  # a full disk; a prompt that is no text (half a surrogate pair)
            # It is drawn all the same; only a death of this process would lose it.
            log.warning("journal not written", job=entry.id, reason=type(error).__name__)

    def _keep_looking(self) -> None:
        while not self._stopping.is_set():
            try:
                self.resume()
                self._journal.tidy()
            except Exception:  # whatever lies in that folder, the next look comes
                log.exception("journal not read")
            self._stopping.wait(LOOK_EVERY)


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"
