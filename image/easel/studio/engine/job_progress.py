"""What is known of a job while it is drawn: its pictures, what is finished, how far it is."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from easel.models import ModelFile
from easel.studio.engine.pace import Pace, units_left
from easel.studio.engine.picture import Picture
from easel.studio.engine.queue.job import Drawn, Job, JobState, ProgressReport

if TYPE_CHECKING:
    from PIL.Image import Image

PREVIEW_EVERY = 0.3
_Left = Counter[tuple[int, int | None]]


class JobProgress:
    """How far one job is. Used from the engine's thread only."""

    def __init__(self, job: Job, pace: Pace) -> None:
        self.job = job
        self._pace = pace
        self.pictures = [Picture(job, index) for index in job.wanted]
        self.drawn: dict[int, Drawn] = {}
        self.ending = False
        """Whether it ends as soon as what is being decoded of it is there."""
        self._told = False
        self._began: float | None = None
        self._preview: Image | None = None
        self._previewed = 0.0

    @property
    def complete(self) -> bool:
        """Whether every picture is there."""
        return len(self.drawn) == len(self.pictures)

    @property
    def left(self) -> int:
        """Sampler steps until every picture is there."""
        return sum(one.course.left for one in self.pictures if one.index not in self.drawn)

    def wants(self, checkpoint: ModelFile | None) -> bool:
        """Whether a picture that is not there can be gone on with while this checkpoint serves."""
        return any(
            one.checkpoint in (None, checkpoint) for one in self.pictures if one.index not in self.drawn
        )

    def begin(self) -> bool:
        """A picture is about to begin; whether it is the first."""
        first, self._told = not self._told, True
        if first and self.job.watcher is not None:
            self.job.watcher.begun()
        return first

    def keep(self, picture: Picture) -> None:
        """A picture is there."""
        image = picture.image
        assert image is not None  # noqa: S101 - kept when it is there
        self.drawn[picture.index] = drawn = self.job.picture(picture.index, image, partial=picture.partial)
        self._preview = image
        if self.job.watcher is not None:
            self.job.watcher.drawn(drawn)

    def preview_due(self) -> bool:
        """Whether somebody watches and the last preview is old enough."""
        return self.job.preview_wanted and time.monotonic() - self._previewed > PREVIEW_EVERY

    def show(self, image: Image) -> None:
        """A new preview of a picture under way."""
        self._preview = image
        self._previewed = time.monotonic()

    def look(self, state: JobState, *, ahead: int = 0, detail: str = "") -> bool:
        """Publish how far the job is. False once it has ended."""
        if state is JobState.RUNNING and self._began is None:
            self._began = time.monotonic()
        fraction = self._fraction()
        under_way = [p.course for p in self.pictures if p.course.position and p.index not in self.drawn]
        eta = None
        if self._began is not None and fraction > 0:
            eta = (time.monotonic() - self._began) * (1 - fraction) / fraction
        left = self._left()
        return self.job.publish(
            ProgressReport(
                state=state,
                fraction=fraction,
                step=max((one.step for one in under_way), default=0),
                steps=max((one.steps for one in under_way), default=self.job.request.steps),
                finished=len(self.drawn),
                pictures=len(self.pictures),
                ahead=ahead,
                eta=eta,
                preview=self._preview,
                detail=detail,
                work_left=self._work_left(left),
                units_left=sum(
                    units_left(self.job.request, position, calls) * count
                    for (position, calls), count in left.items()
                ),
            )
        )

    def _fraction(self) -> float:
        courses = [picture.course for picture in self.pictures]
        if not (calls := sum(one.calls for one in courses)):
            # DDIM and its like have no step to make of a weak strength: the VAE is all the way
            return len(self.drawn) / len(self.pictures)
        return min(1.0, sum(one.position + one.enlarged for one in courses) / calls)

    def _work_left(self, left: _Left) -> float | None:
        """Seconds of the device for what is not there, if all the device worked for it."""
        seconds = 0.0
        for (position, calls), count in left.items():
            one = self._pace.picture(self.job.checkpoint, self.job.request, position, calls)
            if one is None:
                return None
            seconds += one * count
        return seconds

    def _left(self) -> _Left:
        """How many pictures that are not there are how far. Of hundreds most have not begun."""
        return Counter(
            (picture.course.position, picture.course.left)
            for picture in self.pictures
            if picture.index not in self.drawn
        )

    def close(self, state: JobState, error: BaseException | None = None) -> None:
        """End the job: the pictures there are, in order, or the error. Does nothing the second time."""
        if not self.look(state, detail=str(error) if error else ""):
            return
        if error is not None:
            self.job.future.set_exception(error)
        else:
            self.job.future.set_result([self.drawn[index] for index in sorted(self.drawn)])
