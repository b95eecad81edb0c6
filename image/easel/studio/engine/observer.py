"""Who hears what the engine does: for counting and for logs. The engine knows nobody of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from easel.models import ModelFile
    from easel.studio.engine.queue.job import Job

CallKind = Literal[
    "backbone", "vae_decode", "vae_encode", "text_encoder", "upscaler", "face_detector", "face_restorer",
    "interrogator",
]  # fmt: skip


@dataclass(frozen=True)
class TimedCall:
    """A call of the device that is over: `seconds` of the device's time, not of waiting for it.

    `jobs` has one entry for each picture in it; `rows` is the width of its batch, 0 where there is no batch
    to speak of.
    """

    kind: CallKind
    seconds: float
    jobs: tuple[Job, ...]
    rows: int = 0


class EngineObserver:
    """Hears what it overrides. Called on the engine's thread (`accepted` and `refused` on the caller's), so
    everything must return at once. How a job ends is told by its future."""

    def accepted(self, job: Job) -> None:
        """A job is in the queue; the engine's thread may have begun it."""

    def refused(self, error: Exception) -> None:
        """A request was not taken."""

    def begun(self, job: Job) -> None:
        """The first of its pictures begins."""

    def called(self, call: TimedCall) -> None:
        """The device did something."""

    def loaded(self, file: ModelFile, seconds: float, error: Exception | None) -> None:
        """A checkpoint serves, or could not be loaded."""

    def resident(self, checkpoints: int) -> None:
        """So many checkpoints are in memory."""


class EngineObservers(EngineObserver):
    """Tells all of them. They may join while the engine runs."""

    def __init__(self) -> None:
        self._all: list[EngineObserver] = []

    def add(self, observer: EngineObserver) -> None:
        """Let one more hear."""
        self._all.append(observer)

    def accepted(self, job: Job) -> None:
        """See `EngineObserver`."""
        for one in self._all:
            one.accepted(job)

    def refused(self, error: Exception) -> None:
        """See `EngineObserver`."""
        for one in self._all:
            one.refused(error)

    def begun(self, job: Job) -> None:
        """See `EngineObserver`."""
        for one in self._all:
            one.begun(job)

    def called(self, call: TimedCall) -> None:
        """See `EngineObserver`."""
        for one in self._all:
            one.called(call)

    def loaded(self, file: ModelFile, seconds: float, error: Exception | None) -> None:
        """See `EngineObserver`."""
        for one in self._all:
            one.loaded(file, seconds, error)

    def resident(self, checkpoints: int) -> None:
        """See `EngineObserver`."""
        for one in self._all:
            one.resident(checkpoints)
