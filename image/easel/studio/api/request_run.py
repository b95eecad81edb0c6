"""Carries a course of requests to the engine: each is a job like any other, in its owner's share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from easel.studio import infotext
from easel.studio.api.hanging_up import Line
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.ordering import Ordering, PreparedRequest, SubmittedRequest
from easel.studio.api.requests.result import Course, PictureToEnlarge, Result, ResultPicture
from easel.studio.engine import Job, TooMuchWork
from easel.studio.studio import Studio

if TYPE_CHECKING:
    from PIL.Image import Image

_MILLION = 1_000_000


class RequestRun:
    """One request under way. `submitted` is what the engine has been given for it; `line` is
    where the client waits."""

    def __init__(self, studio: Studio, ordering: Ordering, line: Line) -> None:
        self.submitted: list[SubmittedRequest] = []
        self._studio = studio
        self._ordering = ordering
        self._line = line
        self._notes: list[str] = []
        self._enlarging: list[Job] = []
        self._interrupted = False

    @property
    def notes(self) -> list[str]:
        """What there is to say of all of it, each sentence once."""
        said = [words for one in self.submitted for words in one.job.notes]
        return list(dict.fromkeys([*said, *self._notes]))

    async def result(self, course: Course) -> Result:
        """Draw all of it. Raises what ended a job, where nothing was drawn beside it."""
        answers: Any = None
        try:
            while True:
                step = await asyncio.to_thread(_next, course, answers)
                if isinstance(step, Result):
                    return step
                answers = await (
                    self._enlarged(step) if isinstance(step, PictureToEnlarge) else self._drawn(step)
                )
        finally:
            for job in [*self._enlarging, *(one.job for one in self.submitted)]:
                job.cancel()

    async def _enlarged(self, wanted: PictureToEnlarge) -> Image:
        """The larger picture; the same where somebody interrupted, and then nothing is drawn over it."""
        job = await asyncio.to_thread(self._ordering.enlarge, wanted)
        self._enlarging.append(job)
        await self._line.ended([job])
        made = job.result(timeout=0)
        self._interrupted = not made
        return made[0].image if made else wanted.image

    async def _drawn(self, requests: Sequence[DrawingRequest]) -> list[list[ResultPicture]]:
        if any(one.job.cancelled for one in self.submitted):
            return [[] for _ in requests]
        submitted = await asyncio.to_thread(self._submit, requests)
        jobs = [one.job for one in submitted]
        if self._interrupted:
            for job in jobs:
                job.cancel()
        await self._line.ended(jobs)
        errors = [job.future.exception(timeout=0) for job in jobs]
        failed = [error for error in errors if error]
        if failed and len(failed) == len(jobs):
            raise failed[0]
        self._notes += [
            f"Picture {number} of {len(jobs)} was not drawn: {error}"
            for number, error in enumerate(errors, 1)
            if error
        ]
        return [
            [] if error else await asyncio.to_thread(self._pictures, job)
            for job, error in zip(jobs, errors, strict=True)
        ]

    def _submit(self, requests: Sequence[DrawingRequest]) -> list[SubmittedRequest]:
        """All of them are looked at before the first is handed over: what cannot be drawn costs nothing."""
        prepared = [self._ordering.prepare(request) for request in requests]
        self._check_size(prepared)
        before = len(self.submitted)
        for one in prepared:
            self.submitted.append(self._ordering.submit(one))
        return self.submitted[before:]

    def _check_size(self, prepared: Sequence[PreparedRequest]) -> None:
        """The engine limits each job; all pictures of a script are in memory until it is answered."""
        if len(prepared) == 1:
            return
        last = [(one.request.passes()[-1], one.request.pictures) for one in prepared]
        megapixels = sum(size.width * size.height * pictures for size, pictures in last) / _MILLION
        most = self._studio.engine.limits.pixels_per_request
        if megapixels > most:
            raise TooMuchWork(
                "script_args",
                f"{len(prepared)} pictures of the script have {megapixels:,.0f} megapixels, which must be in "
                f"memory until the last is drawn; one request may ask for {most:,g}. Ask for fewer values",
            )

    def _pictures(self, job: Job) -> list[ResultPicture]:
        hashed = [self._studio.hashed(picture) for picture in job.result(timeout=0)]
        return [ResultPicture(picture.image, infotext.describe(picture), picture) for picture in hashed]


def _next(course: Course, answers: Any) -> list[DrawingRequest] | PictureToEnlarge | Result:
    try:
        return next(course) if answers is None else course.send(answers)
    except StopIteration as end:
        result: Result = end.value
        return result
