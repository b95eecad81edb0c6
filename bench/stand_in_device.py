"""How wrong the time left is on a stand-in for a device: its clock is a number, its step times were recorded.

The estimator, the fair shares and the tickets are Easel's own. People come, ask, change their minds and go.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from easel.models import Kind, ModelFile
from easel.studio.api.jobs.record import AcceptedRequest
from easel.studio.api.jobs.ticket import Company, open_tickets
from easel.studio.engine import FairShare, Pace, PersonsWork, TextToImage, units_left

# Microseconds that a call of the UNet took for a pixel, one after the other, by the side of the picture: the
# starter by a processor that other programs had, too.
RECORDED = {
    64: (
        12.5, 7.6, 8.1, 9.2, 16.4, 13.3, 7.3, 13.1, 15.5, 14.8, 11.3, 10.9, 26.5, 25.1,
        11.7, 13.2, 10.8, 5.8, 5.7, 7.3, 16.1, 6.6, 17.1, 8.5, 30.1, 6.8, 3.3, 5.1,
        4.3, 5.5, 9.7, 19.2, 8.5, 7.2, 17.6, 10.3, 4.6, 4.8, 6.5, 11.2,
    ),
    128: (
        3.9, 3.2, 4.8, 5.8, 2.5, 1.9, 2.9, 1.3, 3.7, 5.0, 3.9, 3.3, 3.1, 3.1, 6.1, 13.7, 6.5, 3.2, 5.6, 3.7,
        9.7, 5.7, 5.2, 8.0, 8.0, 11.6, 4.5, 6.3, 7.4, 7.8, 5.8, 8.1, 4.9, 2.7, 3.5, 3.6, 4.4, 8.6, 10.0, 7.8,
    ),
    256: (
        2.7, 6.5, 3.2, 1.9, 2.8, 4.1, 3.2, 2.9, 3.4, 3.7, 3.5, 4.4, 4.2, 3.7, 3.2, 2.0, 3.0, 3.1, 1.7, 1.8,
        5.3, 4.6, 4.2, 3.8, 2.9, 2.5, 3.3, 2.1, 3.0, 2.3, 5.6, 4.4, 5.2, 3.8, 2.3, 4.2, 3.5, 4.3, 5.6, 4.0,
    ),
    512: (
        3.7, 2.2, 2.5, 3.0, 4.1, 2.3, 2.6, 3.3, 2.5, 3.2, 3.8, 4.0, 5.2, 3.7, 5.2, 3.2, 3.2, 4.0, 2.9, 4.2,
        2.4, 2.3, 1.2, 3.1, 3.3, 2.3, 2.4, 1.9, 2.6,
    ),
}  # fmt: skip
_DECODING = 4.0
"""Microseconds for a pixel of the finished picture."""
_PEOPLE = ("ada", "bob", "cleo", "dan", "eve")
_STEPS_KNOWN = 3
_CANCELLED = 0.1
_COMES_AFTER = 6.0
"""Seconds between two people who come, in the middle."""
_AT_ONCE = 4
_CHECKPOINT = ModelFile(Path("starter.safetensors"), "starter.safetensors", Kind.CHECKPOINT, size=0, mtime=0)


@dataclass(eq=False)
class _Drawing:
    """A picture of a job: what `FairShare` chooses among."""

    job: StandInJob
    done: int = 0

    @property
    def owner(self) -> str:
        return self.job.record.owner

    @property
    def kind(self) -> int:
        return self.job.request.width

    @property
    def cost(self) -> int:
        return self.kind**2 // 64


@dataclass(eq=False)
class StandInJob:
    """As much of an asynchronous job as a ticket looks at."""

    record: AcceptedRequest
    request: TextToImage
    pace: Pace
    pictures: list[_Drawing] = field(default_factory=list)
    finished: int = 0
    saving: bool = False
    jobs: tuple[()] = ()
    notes: tuple[()] = ()

    @property
    def begun(self) -> bool:
        """Whether a step of it is made."""
        return bool(self.finished) or any(one.done for one in self.pictures)

    @property
    def pictures_left(self) -> int:
        """Pictures that are not there."""
        return len(self.pictures)

    def work_left(self) -> float | None:
        """Seconds of the device, by what was measured."""
        found = [
            self.pace.picture(_CHECKPOINT, self.request, one.done, self.request.steps - one.done)
            for one in self.pictures
        ]
        known = [one for one in found if one is not None]
        return sum(known) if len(known) == len(found) else None

    def units_left(self) -> float:
        """What is left in the units by which shares are fair."""
        return sum(units_left(self.request, one.done, self.request.steps - one.done) for one in self.pictures)

    def switch(self) -> float:
        """Nothing else is loaded here."""
        return 0.0


class StandInDevice:
    """One afternoon of it: `run` says what tickets told, and what was true."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._times = {
            side: self._endless(times, self._chance.randrange(len(times))) for side, times in RECORDED.items()
        }
        self._pace, self._shares = Pace(), FairShare()
        self._now = 0.0
        self._queues: dict[str, deque[StandInJob]] = {name: deque() for name in _PEOPLE}
        self._told: list[tuple[StandInJob, float, float]] = []
        self._ends: dict[str, float] = {}

    def run(self, jobs: int) -> list[float]:
        """Signed errors of all that was told of jobs of which three steps and more were made, as shares of
        what was really left; of the last step or two nobody asks."""
        asked, comes = 0, 0.0
        while asked < jobs or any(self._queues.values()):
            while asked < jobs and comes <= self._now:
                asked += self._somebody_asks(asked)
                comes += self._chance.expovariate(1 / _COMES_AFTER)
            if not any(self._queues.values()):
                self._now = comes
                continue
            self._step()
        return [
            (eta - left) / left
            for job, at, eta in self._told
            if job.record.id in self._ends and (left := self._ends[job.record.id] - at) > self._short(job)
        ]

    def _endless(self, times: tuple[float, ...], first: int) -> Iterator[float]:
        """The recorded ones from some place on, in their order: slow times come together."""
        while True:
            yield times[first % len(times)]
            first += 1

    def _somebody_asks(self, number: int) -> int:
        owner, count = self._chance.choice(_PEOPLE), self._chance.randint(1, 3)
        for one in range(count):
            side, steps = self._chance.choice(list(RECORDED)), self._chance.choice((20, 30, 60))
            request = TextToImage(width=side, height=side, steps=steps)
            pictures = self._chance.choice((1, 1, 2, 4))
            record = AcceptedRequest(
                id=f"{number + one:032x}", owner=owner, by="0" * 32, at=0, place=number + one, kind="txt2img",
                pictures=pictures, steps=steps,
            )  # fmt: skip
            job = StandInJob(record, request, self._pace)
            job.pictures = [_Drawing(job) for _ in range(pictures)]
            self._queues[owner].append(job)
        return count

    def _step(self) -> None:
        """One call of the device, and a look at what is told."""
        first = [queue[0] for queue in self._queues.values() if queue]
        ready = [picture for job in first for picture in job.pictures]
        chosen = self._shares.choose(ready, lambda _kind, available: min(_AT_ONCE, available))
        pixels = [one.kind**2 for one in chosen]
        seconds = sum(pixels) * next(self._times[chosen[0].kind]) / 1e6
        self._now += seconds
        self._pace.stepped(_CHECKPOINT, pixels, seconds)
        for one in chosen:
            one.done += 1
            if one.done >= one.job.request.steps:
                self._finish(one)
        self._look()
        if self._chance.random() < _CANCELLED / 30:
            self._changes_their_mind()

    def _finish(self, picture: _Drawing) -> None:
        pixels, job = picture.kind**2, picture.job
        seconds = pixels * _DECODING * self._chance.uniform(0.8, 1.3) / 1e6
        self._now += seconds
        self._pace.worked(seconds)
        self._pace.made(_CHECKPOINT, pixels)
        job.pictures.remove(picture)
        job.finished += 1
        if not job.pictures:
            self._queues[job.record.owner].popleft()
            self._ends[job.record.id] = self._now

    def _changes_their_mind(self) -> None:
        if queue := self._chance.choice([one for one in self._queues.values() if one] or [deque()]):
            queue.remove(self._chance.choice(queue))

    def _look(self) -> None:
        work = {
            name: PersonsWork(
                sum(job.work_left() or 0.0 for job in queue),
                sum(job.pictures_left for job in queue),
                sum(job.units_left() for job in queue),
            )
            for name, queue in self._queues.items()
            if queue
        }
        for name in work:
            company = Company([one for other, one in work.items() if other != name])
            mine: list[StandInJob] = list(self._queues[name])
            tickets = open_tickets(mine, company, _no_picture)  # type: ignore[arg-type]
            if tickets[0].eta is not None and max(one.done for one in mine[0].pictures) >= _STEPS_KNOWN:
                self._told.append((mine[0], self._now, tickets[0].eta))

    def _short(self, job: StandInJob) -> float:
        """Two steps of its size."""
        each = self._pace.picture(_CHECKPOINT, job.request, 0, 2)
        return each or 0.0


_no_picture: Callable[[str], None] = lambda _: None  # noqa: E731 - a type that says what it is
