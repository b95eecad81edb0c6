"""The engine's thread: cancel, switch, begin, step, decode — one round after another while there is work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from easel.models import ModelError, ModelFile
from easel.remark import remark, said_by
from easel.studio.engine.checkpoint_turns import CheckpointTurns
from easel.studio.engine.errors import SHUT_DOWN, EngineError, Stopped, TooMuchForTheDevice
from easel.studio.engine.job_progress import JobProgress
from easel.studio.engine.loop import Loop, Turned
from easel.studio.engine.observer import EngineObserver
from easel.studio.engine.pace import Pace
from easel.studio.engine.picture import Picture
from easel.studio.engine.picture_queue import PictureQueue
from easel.studio.engine.queue.job import Job, JobState
from easel.studio.engine.queue.job_queue import JobQueue
from easel.studio.engine.widths.batch_width import BUCKETS

log = structlog.get_logger(__name__)

# How often the place in the queue is told to who waits.
QUEUE_NEWS_EVERY = 0.5
# After this long of beginning pictures one turn is taken by those that have begun.
BEGINNING_SECONDS = 0.1
# So many rounds that fail for nobody in particular, with none between them that drew, end the engine.
MOST_FAULTS = 3


class Worker:
    """Owns the loop and what is known of each job. Everything here runs on one thread."""

    def __init__(
        self,
        queue: JobQueue,
        loop: Loop,
        pace: Pace,
        served: Callable[[ModelFile], None],
        observer: EngineObserver,
    ) -> None:
        """`served` is told of each checkpoint that serves from now on."""
        self._queue, self._loop, self._pace = queue, loop, pace
        self._served, self._observer = served, observer
        self._turn_ended: float | None = None
        self._waiting = PictureQueue()
        self._progress: dict[Job, JobProgress] = {}
        self._queue_news = 0.0
        self._turns = CheckpointTurns()
        self._faults = 0

    def run(self, first: ModelFile | None) -> None:
        """Load `first`, then draw until the queue stops and what can be finished by then is."""
        if first is None:
            self._say("ready", remark("engine_empty", "no checkpoint yet"))
        else:
            try:
                self._switch(first)
            except Exception as error:
                self._say("failed", said_by(_told(error)))
        while not self._queue.over:
            try:
                self._round()
            except Exception as error:  # met by nobody in particular
                self._faults += 1
                if self._faults == MOST_FAULTS:
                    raise
                log.exception("round", jobs=[job.id for job in self._progress])
                for job in list(self._progress):
                    self._close(job, JobState.FAILED, _typed(error))
            if not self._waiting and not self._loop.active:
                if self._queue.stopping:
                    break
                self._loop.widths.keep(at_rest=True)
                self._queue.wait()
        self._loop.widths.keep(at_rest=True)
        for job in [*self._progress, *self._queue.take()]:
            self._close(job, JobState.FAILED, Stopped(SHUT_DOWN))

    def _round(self) -> None:
        for job in self._queue.take():
            with self._for(job):
                progress = self._progress[job] = JobProgress(job, self._pace)
                self._waiting.add(progress.pictures)
        self._stop_what_should()
        self._turns.settle(self._waiting, self._loop.active)
        self._switch_where_due()
        self._look_ahead()
        self._begin()
        if self._loop.active:
            self._step()
        else:
            self._turn_ended = None
        self._tell_the_queue()
        self._queue.settle(len(self._loop.active), self._loop.widths.now())
        self._loop.widths.keep(at_rest=False)
        self._observer.resident(self._loop.at_hand.resident)
        if self._turn_ended is not None:
            self._faults = 0

    @contextmanager
    def _for(self, job: Job) -> Iterator[None]:
        """What is done for one job: what goes wrong there ends that one and no other. A division by zero in
        somebody's progress ended the engine for everybody."""
        try:
            yield
        except Exception as error:
            log.exception("job", job=job.id)
            self._close(job, JobState.FAILED, _typed(error))

    def _stop_what_should(self) -> None:
        for job, progress in list(self._progress.items()):
            with self._for(job):
                if job.cancelled is not None:
                    self._cancel(progress, *job.cancelled)
                elif job.skipped:
                    self._skip(job)

    def _cancel(self, progress: JobProgress, keep_partial: bool) -> None:
        job = progress.job
        if not keep_partial:
            self._close(job, JobState.CANCELLED)
        elif not progress.ending:
            # What is under way is decoded as it is, in its turn: that is work too, and others wait.
            progress.ending = True
            self._waiting.remove(job)
            for picture in self._of(job):
                if picture.course.estimate is not None:
                    self._loop.stop_here(picture)
                else:
                    self._loop.drop(picture)
            self._end_where_through(job)

    def _skip(self, job: Job) -> None:
        """The pictures of the first batch under way end as they are. Before the backbone has answered once
        there is nothing of them: that is waited for."""
        under_way = self._of(job)
        first = min((one.index for one in under_way), default=0) // job.request.batch_size
        batch = [one for one in under_way if one.index // job.request.batch_size == first]
        if any(one.course.drawing and one.course.estimate is None for one in batch):
            return
        for picture in batch:
            self._loop.stop_here(picture)
        job.skip_heard()

    def _of(self, job: Job) -> list[Picture]:
        """A job's pictures under way."""
        return [picture for picture in self._loop.active if picture.job is job]

    def _end_where_through(self, job: Job) -> None:
        progress = self._progress[job]
        if progress.ending:
            if not self._of(job):
                self._close(job, JobState.CANCELLED)
        elif progress.complete:
            self._close(job, JobState.DONE)

    def _switch_where_due(self) -> None:
        """Another checkpoint serves when nothing is under way, and this one has nothing to do or the other's
        turn has come."""
        serving = self._loop.at_hand.file
        if self._loop.active or (
            serving is not None
            and self._waiting.wants(serving)
            and not self._turns.due(self._waiting, serving, time.monotonic())
        ):
            return
        wanted = self._turns.next(self._waiting, besides=serving)
        if wanted is None:
            return
        for job in self._waiting.jobs(wanted):
            with self._for(job):
                self._progress[job].look(JobState.LOADING, detail=f"loading {wanted.name}")
        try:
            self._switch(wanted)
        except Exception as error:
            told = _told(error)
            # First, as whoever waits for one of the jobs may look next at what the engine does.
            self._say("ready" if self._loop.at_hand.file else "failed", said_by(told))
            for job in self._waiting.jobs(wanted):
                self._close(job, JobState.FAILED, told)

    def _look_ahead(self) -> None:
        """Load what is wanted next while this one draws: who waits for it or will go on with it, before who
        merely chose it."""
        serving = self._loop.at_hand.file
        if serving is None:
            return
        waiting, requests = (
            self._turns.next(self._waiting, besides=serving),
            self._queue.prefetch_requests,
        )
        if waiting is None:
            drawing = [one.job for one in self._loop.active]
            later = [file for job in drawing for file in (job.refiner, job.hires_checkpoint)]
            waiting = next((file for file in later if file not in (None, serving)), None)
        if waiting is not None:
            self._loop.at_hand.prefetch(waiting)
        elif (chosen := requests.oldest()) is not None and self._loop.at_hand.prefetch(chosen):
            requests.done(chosen)

    def _switch(self, file: ModelFile) -> None:
        self._turn_ended = None
        self._say("loading", remark("engine_loading", "loading {name}", name=file.name))
        began = time.perf_counter()
        try:
            # in quarters: whoever follows the state keeps every change of it
            self._loop.at_hand.switch(
                file, lambda _step, share: self._say("loading", _read(file, int(share * 4) * 25))
            )
        except Exception as error:
            self._observer.loaded(file, time.perf_counter() - began, error)
            raise
        seconds = time.perf_counter() - began
        self._turns.switched(time.monotonic(), seconds)
        log.info("checkpoint", name=file.name, seconds=round(seconds, 3))
        self._pace.loaded(file, seconds)
        self._observer.loaded(file, seconds, None)
        self._observer.resident(self._loop.at_hand.resident)
        self._say("ready", remark("engine_serving", "serving {name}", name=file.name))
        self._served(file)

    def _begin(self) -> None:
        serving = self._loop.at_hand.file
        if serving is not None and self._turns.due(self._waiting, serving, time.monotonic()):
            return
        drawing = self._loop.drawing()
        until = time.monotonic() + BEGINNING_SECONDS
        while picture := self._next(serving, drawing):
            try:
                if self._progress[picture.job].begin():
                    self._observer.begun(picture.job)
                self._loop.begin(picture)
            except (
                ModelError,
                EngineError,
            ) as error:  # a LoRA, VAE or upscaler that is no use here; too large
                log.info("not begun", job=picture.job.id, reason=str(error))
                self._close(picture.job, JobState.FAILED, error)
                continue
            except Exception as error:  # a job that cannot begin must not take the others along
                log.exception("begin", job=picture.job.id)
                self._close(picture.job, JobState.FAILED, _typed(error))
                continue
            if picture not in self._loop.active:  # another checkpoint has to go on with it
                self._waiting.add_first([picture])
                continue
            drawing[picture.owner] += 1
            if time.monotonic() > until:  # encoding prompts and loading LoRAs are work that others wait for
                break

    def _next(self, serving: ModelFile | None, drawing: Counter[str]) -> Picture | None:
        if self._queue.stopping and (job := self._nearest()):
            return self._waiting.next_of(job) if len(self._of(job)) < BUCKETS[-1] else None
        return self._waiting.next(serving, drawing, room=self._loop.room())

    def _step(self) -> None:
        positions = {picture: picture.course.position for picture in self._loop.active}
        # From the end of the last turn, for what lies between takes its time too.
        began = self._turn_ended or time.perf_counter()
        try:
            turned = self._loop.turn(self._nearest() if self._queue.stopping else None)
        except Exception as error:  # the engine goes on, whatever one picture meets
            victims = self._victims(error)
            log.exception("turn", jobs=[job.id for job in victims])
            for job in victims:
                self._close(job, JobState.FAILED, _typed(error))
            return
        self._turn_ended = time.perf_counter()
        self._turns.worked((one.owner for one in turned.chosen), self._turn_ended - began)
        self._note_pace(turned, positions, self._turn_ended - began)
        self._waiting.add_first(turned.leaving)
        for job in dict.fromkeys(picture.job for picture in [*turned.stepped, *turned.through]):
            with self._for(job):
                self._look_at(self._progress[job], turned)

    def _look_at(self, progress: JobProgress, turned: Turned) -> None:
        """What a turn has done for a job is told and kept."""
        job = progress.job
        for picture in turned.stepped:
            if picture.job is job:
                picture.tell_reached()
        for picture in turned.through:
            if picture.job is job:
                progress.keep(picture)
                self._loop.drop(picture)
        if progress.preview_due():
            shown = next((p for p in turned.stepped if p.job is job and p.course.drawing), None)
            if shown is not None and (preview := self._loop.preview(shown)) is not None:
                progress.show(preview)
        progress.look(JobState.RUNNING)
        self._end_where_through(job)

    def _note_pace(self, turned: Turned, positions: dict[Picture, int], seconds: float) -> None:
        serving = self._loop.at_hand.file
        if serving is None:
            return
        stepped = [one for one in turned.stepped if one.course.position > positions[one]]
        requests = [one.job.request for one in stepped]
        sizes = [
            request.passes()[0 if positions[one] < request.passes()[0].calls else -1]
            for one, request in zip(stepped, requests, strict=True)
        ]
        if sizes:
            cached = {number for number, request in enumerate(requests) if request.cache_every > 1}
            self._pace.stepped(serving, [one.width * one.height for one in sizes], seconds, cached)
        elif not turned.stepped:
            self._pace.worked(seconds)
        images = [one.image for one in turned.through if one.image is not None]
        if images:
            self._pace.made(serving, sum(image.width * image.height for image in images))

    def _nearest(self) -> Job | None:
        """Of the checkpoint that serves, the job that has least left to draw.

        In the time to finish, turns for all might finish nobody.
        """
        serving = self._loop.at_hand.file
        here = {job: one.left for job, one in self._progress.items() if one.wants(serving)}
        return min(here, key=lambda job: here[job], default=None)

    def _victims(self, error: Exception) -> list[Job]:
        """Whose jobs end with an error of a turn: the one that met it where that is known, else all in it."""
        drawing = dict.fromkeys(picture.job for picture in self._loop.active)
        met = error.job_id if isinstance(error, TooMuchForTheDevice) else ""
        return [job for job in drawing if job.id == met] or list(drawing)

    def _close(self, job: Job, state: JobState, error: Exception | None = None) -> None:
        self._waiting.remove(job)
        for picture in self._of(job):
            self._loop.drop(picture)
        progress = self._progress.pop(job, None)
        try:
            (progress or JobProgress(job, self._pace)).close(state, error)
        except Exception as fault:
            log.exception("close", job=job.id)
            job.fail(error or _typed(fault))

    def _tell_the_queue(self) -> None:
        now = time.monotonic()
        if not self._waiting or now - self._queue_news < QUEUE_NEWS_EVERY:
            return
        self._queue_news = now
        drawing = {picture.job for picture in self._loop.active}
        for ahead, job in enumerate(job for job in self._waiting.jobs() if job not in drawing):
            with self._for(job):
                self._progress[job].look(JobState.QUEUED, ahead=ahead + 1, detail="waiting for a turn")

    def _say(self, phase: str, detail: str) -> None:
        self._queue.say(phase, detail, self._loop.at_hand.file, str(self._loop.device))


def _read(file: ModelFile, percent: int) -> str:
    return remark("engine_reading", "reading {name}, {percent} %", name=file.name, percent=percent)


def _told(error: Exception) -> Exception:
    """What is told of a checkpoint that cannot serve: the system's words as they are, and faults of ours."""
    if isinstance(error, OSError):
        return error
    typed = _typed(error)
    if typed is not error:
        log.error("switch", exc_info=error)
    return typed


def _typed(error: Exception) -> Exception:
    """Errors that already teach stay as they are; anything else is a fault of ours and says so."""
    if isinstance(error, EngineError | ModelError):
        return error
    return EngineError(f"drawing failed: {type(error).__name__}: {error}; the log has the details")
