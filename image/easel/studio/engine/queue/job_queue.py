"""Where other threads and the engine's thread meet: jobs come in, states go out, a bell wakes who sleeps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from easel.models import ModelFile
from easel.remark import remark
from easel.studio.engine.errors import SHUTTING_DOWN, Stopped
from easel.studio.engine.queue.job import FINAL, Job
from easel.studio.engine.queue.prefetch_requests import PrefetchRequests
from easel.studio.engine.queue.queue_bounds import Bound, Queue, see_that_there_is_room
from easel.studio.engine.queue.waiting_times import by_person
from easel.studio.engine.requests.limits import Limits, field_for_less, pixels

# Pictures one owner may have waiting; one request of the largest size fits.
MAX_WAITING = 2000


@dataclass(frozen=True)
class Status:
    """What the engine is doing.

    `phase` is importing, loading, ready or failed; `running` and `queued` are pictures. `idle_seconds` is the
    time since there was last anything to draw. `width` is how many pictures like those that were drawn
    last go into one call, and `width_reason` says why; 0 and "" where none were drawn. `uncompiled` says why
    blocks that should be compiled are not (`compiling`), `unrecorded` why calls that should be recorded are
    not (`recording`), "" where all is as asked.
    """

    phase: str
    detail: str
    running: int
    queued: int
    idle_seconds: float
    checkpoint: ModelFile | None
    device: str
    width: int = 0
    width_reason: str = ""
    uncompiled: str = ""
    unrecorded: str = ""


class JobQueue:
    """Thread-safe. Everything in here is quick; nothing waits for a device."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bell = threading.Condition()
        self._rung = False
        self._new: list[Job] = []
        self._jobs: dict[str, Job] = {}
        self._phase: str = "importing"
        self._detail: str = remark("engine_imports", "importing torch and diffusers")
        self._running = 0
        self._checkpoint: ModelFile | None = None
        self._device = ""
        self._width = (0, "")
        self._last_work = time.monotonic()
        # When the engine is to end, on the monotonic clock; None while it takes work.
        self._end_by: float | None = None
        self.changed: Callable[[], None] = lambda: None
        """Told of everything that `jobs` and `status` show; must return at once."""
        self.prefetch_requests = PrefetchRequests()
        """What people chose and have not drawn with yet."""

    def put(self, job: Job) -> None:
        """Hand a job in. Raises QueueFull, TooMuchWork or Stopped."""
        with self._bell:
            if self.stopping:
                raise Stopped(SHUTTING_DOWN)
            self._see_that_it_fits(job)
            self._jobs[job.id] = job
            self._new.append(job)
        self.ring()
        self.changed()

    def _see_that_it_fits(self, job: Job) -> None:
        """Raise QueueFull where the owner of `job` has so much waiting that it would be too much, TooMuchWork
        where it is by itself."""
        limits = self._limits.of_person(job.owner)
        here = [other for other in self._jobs.values() if other.state not in FINAL]
        mine = [other for other in here if other.owner == job.owner]
        looks = [other.progress() for other in mine]
        bounds = (
            Bound(
                remark("pictures", "pictures"),
                [one.pictures_left for one in looks],
                len(job.wanted),
                MAX_WAITING,
                "",
            ),
            Bound(
                remark("megapixel_steps", "megapixel-steps"),
                [other.work * (1 - one.fraction) for other, one in zip(mine, looks, strict=True)],
                job.work,
                limits.work_per_person,
                limits.set_by("work_per_person"),
            ),
            Bound(
                remark("megapixels", "megapixels"),
                [pixels(other.request) for other in mine],
                pixels(job.request),
                2 * limits.pixels_per_request,
                remark(
                    "half_by", "{setting}, which is half of it", setting=limits.set_by("pixels_per_request")
                ),
            ),
        )

        def queue() -> Queue:
            others = [(other.owner, other.progress()) for other in here if other.owner != job.owner]
            left = by_person(
                (owner, one.work_left, one.pictures_left, one.units_left) for owner, one in others
            )
            return Queue([(one.work_left, one.pictures_left) for one in looks], list(left.values()))

        see_that_there_is_room(bounds, queue, field_for_less(job.request))

    def ring(self) -> None:
        """Wake the engine's thread."""
        with self._bell:
            self._rung = True
            self._bell.notify_all()

    def stop(self, finish: float = 0.0) -> None:
        """No more jobs; those that are here may be drawn for `finish` seconds."""
        self._end_by = time.monotonic() + finish
        self.ring()

    @property
    def stopping(self) -> bool:
        """Whether no more jobs are taken."""
        return self._end_by is not None

    @property
    def over(self) -> bool:
        """Whether the time to finish is over."""
        return self._end_by is not None and time.monotonic() >= self._end_by

    def wait(self) -> None:
        """Sleep until somebody rings or a prefetch is due. For the engine's thread."""
        with self._bell:
            self._bell.wait_for(lambda: self._rung, self.prefetch_requests.due())

    def take(self) -> list[Job]:
        """New jobs, in order. For the engine's thread."""
        with self._bell:
            self._rung = False
            new, self._new = self._new, []
            return new

    def settle(self, running: int, width: tuple[int, str] = (0, "")) -> None:
        """Forget finished jobs, note how many pictures are under way, and the width of calls with its reason.
        For the engine's thread."""
        with self._bell:
            if self._jobs:
                self._last_work = time.monotonic()
            self._jobs = {id: job for id, job in self._jobs.items() if job.state not in FINAL}
            self._running, self._width = running, width

    def say(self, phase: str, detail: str, checkpoint: ModelFile | None = None, device: str = "") -> None:
        """What `status` answers from now on."""
        with self._bell:
            self._phase, self._detail = phase, detail
            self._checkpoint = checkpoint
            self._device = device or self._device
        self.changed()

    def jobs(self, owner: str | None = None) -> list[Job]:
        """Jobs that are not finished, in order; of one owner, or all."""
        with self._bell:
            return [
                job
                for job in self._jobs.values()
                if job.state not in FINAL and (owner is None or job.owner == owner)
            ]

    def status(self) -> Status:
        """What the engine is doing now."""
        with self._bell:
            waiting = sum(
                len(job.wanted) - job.progress().finished
                for job in self._jobs.values()
                if job.state not in FINAL
            )
            return Status(
                phase=self._phase,
                detail=self._detail,
                running=self._running,
                queued=max(0, waiting - self._running),
                idle_seconds=0.0 if waiting else time.monotonic() - self._last_work,
                checkpoint=self._checkpoint,
                device=self._device,
                width=self._width[0],
                width_reason=self._width[1],
            )
