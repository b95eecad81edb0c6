"""The engine's own worker, queue and turns on a device that is played, by a clock that jumps.

A turn takes `TURN` seconds, as on a device where wider calls gain nothing; a picture takes `PICTURE` of them.
A switch takes `switch` seconds, as nothing is loaded ahead.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from easel.models import Kind, ModelFile
from easel.studio.engine import job_progress, worker
from easel.studio.engine.calls.device_calls import UpscaleCall
from easel.studio.engine.loop import Turned
from easel.studio.engine.networks.extra_networks import Asked
from easel.studio.engine.observer import EngineObservers
from easel.studio.engine.pace import Pace
from easel.studio.engine.picture import Picture
from easel.studio.engine.queue import job_queue
from easel.studio.engine.queue.fair_share import FairShare
from easel.studio.engine.queue.job import Job
from easel.studio.engine.queue.job_queue import JobQueue
from easel.studio.engine.requests.limits import Limits
from easel.studio.engine.requests.request import TextToImage
from easel.studio.engine.texts.picture_prompts import PicturePrompts
from easel.studio.engine.worker import Worker

TURN, PICTURE = 0.25, 8
SECONDS = TURN * PICTURE
"""What a picture takes of the device."""
_NOTHING = Asked("", "")
_PROMPTS = (PicturePrompts("", "", _NOTHING, _NOTHING),)
_IMAGE = Image.new("RGB", (8, 8))


def checkpoint(name: str) -> ModelFile:
    """A file that nobody reads."""
    return ModelFile(Path(f"/{name}.safetensors"), f"{name}.safetensors", Kind.CHECKPOINT, 1, 0.0)


class Clock:
    """Stands in the place of the module `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = time = monotonic


class AtHand:
    """What the worker needs of the checkpoint that serves."""

    def __init__(self, clock: Clock, switch: float) -> None:
        self.file: ModelFile | None = None
        self.checkpoint = None
        self.resident = 1
        self.switches = 0
        self._clock, self._switch = clock, switch

    def switch(self, file: ModelFile, report: object) -> None:
        self._clock.now += self._switch
        self.switches += 1
        self.file = file

    def prefetch(self, file: ModelFile) -> bool:
        return False


class Device:
    """What the worker needs of the loop."""

    def __init__(self, clock: Clock, switch: float) -> None:
        self.active: list[Picture] = []
        self.at_hand = AtHand(clock, switch)
        self.had: Counter[str] = Counter()
        self.first: dict[str, float] = {}
        """When each person's first turn began."""
        self.device = "played"
        self.widths = SimpleNamespace(now=lambda: (1, ""), keep=lambda *, at_rest: None)
        self._clock = clock
        self._turns = FairShare()

    def drawing(self) -> Counter[str]:
        return Counter(picture.owner for picture in self.active)

    def room(self) -> bool:
        return not self.active

    def begin(self, picture: Picture) -> None:
        picture.call = UpscaleCall(SimpleNamespace(cost=1))  # type: ignore[arg-type]
        self.active.append(picture)

    def turn(self, only: Job | None) -> Turned:
        (picture,) = self._turns.choose(self.active, lambda _kind, _available: 1)
        self.first.setdefault(picture.owner, self._clock.now)
        self._clock.now += TURN
        self.had[picture.owner] += 1
        picture.course.position += 1
        self.active.remove(picture)
        self.active.append(picture)
        if picture.course.position < PICTURE:
            return Turned([picture], [picture], [], [])
        picture.image = _IMAGE
        return Turned([picture], [picture], [picture], [])

    def drop(self, picture: Picture) -> None:
        if picture in self.active:
            self.active.remove(picture)


@dataclass
class PersonsRequest:
    """A request: when it came, and when the last of its pictures was there."""

    owner: str
    pictures: int
    came: float
    ended: float | None = None


class Simulation:
    """People who ask for pictures, at times and when others are done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, switch: float) -> None:
        self.clock = Clock()
        for module in (worker, job_progress, job_queue):
            monkeypatch.setattr(module, "time", self.clock)
        monkeypatch.setattr(
            job_progress, "Picture", lambda job, index: Picture(job, index, waiting_since=self.clock.now)
        )
        self.device = Device(self.clock, switch)
        self.queue = JobQueue(Limits(work_per_person=1e9, pixels_per_request=1e9))
        self.requests: list[PersonsRequest] = []
        device: Any = self.device
        self._worker = Worker(self.queue, device, Pace(), lambda _file: None, EngineObservers())
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Have something done in so many seconds."""
        heapq.heappush(self._later, (self.clock.now + seconds, next(self._number), do))

    def ask(
        self, owner: str, file: ModelFile, pictures: int = 1, then: Callable[[], None] = lambda: None
    ) -> PersonsRequest:
        """Somebody asks for pictures; `then` is done when all are there."""
        request = TextToImage(
            width=64, height=64, steps=PICTURE, seed=1, subseed=1, sampler="Euler",
            batch_size=min(pictures, 10), batch_count=-(-pictures // 10),
        )  # fmt: skip
        asked = PersonsRequest(owner, request.pictures, self.clock.now)
        job = Job(owner, request, file, _PROMPTS)

        def ended(_: object) -> None:
            asked.ended = self.clock.now
            then()

        job.future.add_done_callback(ended)
        self.requests.append(asked)
        self.queue.put(job)
        return asked

    def run(self, seconds: float) -> None:
        """Let so many seconds go by."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            while self._later and self._later[0][0] <= self.clock.now:
                heapq.heappop(self._later)[2]()
            self._worker._round()
            if not self.device.active and not self._worker._waiting and not self.queue._new:
                self.clock.now = min(end, self._later[0][0] if self._later else end)


def jain(amounts: Sequence[float]) -> float:
    """Jain's index of fairness: 1 where all have the same (DEC-TR-301, 1984)."""
    return sum(amounts) ** 2 / (len(amounts) * sum(amount**2 for amount in amounts))
