"""Carries a course of requests to the engine: each is a job like any other, in its owner's share."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from easel.remark import figure, remark
from easel.studio import infotext
from easel.studio.api.hanging_up import Waiting
from easel.studio.api.keeper import FileOf, Keeper, NoKeeper, OnlyBegun, PictureFile
from easel.studio.api.requests.answer_format import AnswerFormat
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.ordering import Ordering, PreparedRequest, SubmittedRequest
from easel.studio.api.requests.result import (
    Course,
    Drafts,
    FacesToFind,
    FinishedPictures,
    PictureToEnlarge,
    PictureToInterrogate,
    Result,
    ResultPicture,
    Step,
    Touches,
)
from easel.studio.engine import Drawn, Job, Stopped, TooMuchWork
from easel.studio.engine.imaging import FaceArea
from easel.studio.studio import Studio

if TYPE_CHECKING:
    from PIL.Image import Image

_MILLION = 1_000_000

_NOT_LOOKED = remark("faces_not_looked", "Faces were not looked for")
_NOT_OVER = remark("part_not_over", "A part of a picture was not drawn over")


class RequestRun:
    """One request under way. `submitted` is what the engine has been given for it; `line` is
    where the client waits."""

    def __init__(
        self, studio: Studio, ordering: Ordering, line: Waiting, keeper: Keeper | None = None
    ) -> None:
        self.submitted: list[SubmittedRequest] = []
        self.cancelled = False
        """Whether somebody ended it before all of it was there."""
        self._studio = studio
        self._ordering = ordering
        self._line = line
        self._keeper: Keeper = keeper or NoKeeper()
        self._firsts: list[int] = []
        self._notes: list[str] = []
        self._aside: list[Job] = []
        self._interrupted = False

    @property
    def notes(self) -> list[str]:
        """What there is to say of all of it, each sentence once."""
        said = [words for one in self.submitted for words in one.job.notes]
        return list(dict.fromkeys([*said, *self._ordering.notes, *self._notes]))

    @property
    def jobs(self) -> list[Job]:
        """All that the engine has been given."""
        return [*(one.job for one in self.submitted), *self._aside]

    def cancel(self, *, keep_partial: bool) -> None:
        """Stop it. The result has what is there by then; with `keep_partial` what is half drawn, too."""
        self.cancelled = True
        for job in self.jobs:
            job.cancel(keep_partial=keep_partial)

    async def result(self, course: Course) -> Result:
        """Draw all of it. Raises what ended a job, where nothing was drawn beside it."""
        answers: Any = None
        try:
            while True:
                step = await asyncio.to_thread(_next, course, answers)
                if isinstance(step, Result):
                    return step
                answers = await self._answered(step)
        finally:
            for job in self.jobs:
                job.cancel()

    async def _answered(self, step: Step) -> Any:
        match step:
            case PictureToEnlarge():
                return await self._enlarged(step)
            case PictureToInterrogate():
                return await self._words(step)
            case FacesToFind():
                return await self._faces(step)
            case Touches():
                return await self._touched(step)
            case FinishedPictures():
                return await asyncio.to_thread(self._keep, step)
            case _:
                return await self._drawn(step)

    @property
    def _stopped(self) -> bool:
        """Whether somebody ended it, or a part of it."""
        return self.cancelled or self._interrupted or any(one.cancelled for one in self.jobs)

    async def _faces(self, wanted: FacesToFind) -> list[tuple[FaceArea, ...]]:
        """Where faces are; nowhere, where somebody interrupted."""
        if self._stopped:
            return [() for _ in wanted.images]
        jobs = await asyncio.to_thread(
            lambda: [self._ordering.find_faces(one, wanted.sure) for one in wanted.images]
        )
        self._aside += jobs
        await self._line.ended(jobs)
        self._tell_of_failed(jobs, _NOT_LOOKED)
        return [job.face_areas for job in jobs]

    async def _touched(self, requests: Touches) -> list[list[ResultPicture]]:
        if self._stopped:
            return [[] for _ in requests]
        submitted = await asyncio.to_thread(
            lambda: [self._ordering.submit(self._ordering.prepare(one)) for one in requests]
        )
        jobs = [one.job for one in submitted]
        self._aside += jobs
        await self._line.ended(jobs)
        self._tell_of_failed(jobs, _NOT_OVER)
        self._notes += [words for job in jobs for words in job.notes]
        return [
            [] if one.job.future.exception(timeout=0) else await asyncio.to_thread(self._pictures, one, None)
            for one in submitted
        ]

    def _tell_of_failed(self, jobs: Sequence[Job], what: str) -> None:
        errors = [job.future.exception(timeout=0) for job in jobs]
        stopped = next((error for error in errors if isinstance(error, Stopped)), None)
        if stopped is not None and not isinstance(self._keeper, NoKeeper):
            raise stopped  # the next process finishes them: nothing unfinished may be kept
        self._notes += [remark("of_part", "{what}: {why}", what=what, why=error) for error in errors if error]

    async def _enlarged(self, wanted: PictureToEnlarge) -> Image:
        """The larger picture; the same where somebody interrupted, and then nothing is drawn over it."""
        job = await asyncio.to_thread(self._ordering.enlarge, wanted)
        self._aside.append(job)
        await self._line.ended([job])
        made = job.result(timeout=0)
        self._interrupted = not made
        return made[0].image if made else wanted.image

    async def _words(self, wanted: PictureToInterrogate) -> str:
        """What is in it; nothing where somebody interrupted, and then nothing more is drawn."""
        job = await asyncio.to_thread(self._ordering.interrogate, wanted)
        self._aside.append(job)
        await self._line.ended([job])
        self._interrupted = not job.result(timeout=0)
        self._notes += job.notes
        return job.words

    async def _drawn(self, requests: list[DrawingRequest]) -> list[list[ResultPicture]]:
        self.cancelled = self.cancelled or any(one.job.cancelled for one in self.submitted)
        if self.cancelled:
            return [[] for _ in requests]
        submitted = await asyncio.to_thread(self._submit, requests)
        jobs = [one.job for one in submitted]
        if self._interrupted or self.cancelled:
            for job in jobs:
                job.cancel()
        await self._line.ended(jobs)
        errors = [job.future.exception(timeout=0) for job in jobs]
        failed = [error for error in errors if error]
        if failed and len(failed) == len(jobs):
            raise failed[0]
        self._notes += [
            remark(
                "picture_not_drawn",
                "Picture {n} of {of} was not drawn: {why}",
                n=number,
                of=len(jobs),
                why=error,
            )
            for number, error in enumerate(errors, 1)
            if error
        ]
        return [
            [] if error else await asyncio.to_thread(self._pictures, one, first)
            for one, error, first in zip(submitted, errors, self._firsts[-len(jobs) :], strict=True)
        ]

    def _submit(self, requests: list[DrawingRequest]) -> list[SubmittedRequest]:
        """All of them are looked at before the first is handed over: what cannot be drawn costs nothing."""
        prepared = [self._ordering.prepare(request) for request in requests]
        self._check_size(prepared)
        before = len(self.submitted)
        for one in prepared:
            first = self._firsts[-1] + self.submitted[-1].job.request.pictures if self._firsts else 0
            only = self._keeper.missing(first, one.request)
            watcher = self._keeper.watcher(first, self._file_of(one))
            if watcher is not None and isinstance(requests, Drafts):
                watcher = OnlyBegun(watcher)
            self.submitted.append(self._ordering.submit(one, only=only, watcher=watcher))
            self._firsts.append(first)
        return self.submitted[before:]

    def _file_of(self, prepared: PreparedRequest) -> FileOf:
        how = AnswerFormat.of(prepared.settings)

        def file_of(drawn: Drawn) -> PictureFile:
            text = infotext.describe(self._studio.hashed(drawn), self._ordering.parameters)
            return PictureFile(*how.file(drawn.image, text, kept=True), drawn.seed)

        return file_of

    def _keep(self, finished: FinishedPictures) -> None:
        """Keep those that were not. Raises NotSaved."""
        for picture in finished.pictures:
            if picture.kept or isinstance(self._keeper, NoKeeper):
                continue
            how = AnswerFormat.of(self.submitted[bisect_right(self._firsts, picture.number) - 1].settings)
            file = how.file(picture.image, picture.text, kept=True)
            self._keeper.keep(picture.number, PictureFile(*file, picture.drawn.seed))

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
                remark(
                    "too_many_of_script",
                    "{n} pictures of the script have {megapixels} megapixels, which must be in "
                    "memory until the last is drawn; one request may ask for {most}. Ask for fewer values",
                    n=len(prepared),
                    megapixels=figure(megapixels, ",.0f"),
                    most=figure(most, ",g"),
                ),
            )

    def _pictures(self, submitted: SubmittedRequest, first: int | None) -> list[ResultPicture]:
        """Its pictures, the first of which has this number; None where they are none of the answer's."""
        job = submitted.job
        drawn = {one.index: self._studio.hashed(one) for one in job.result(timeout=0)}
        found = []
        for index in range(job.request.pictures):
            number = -1 if first is None else first + index
            if index in drawn:
                picture = drawn[index]
                text = infotext.describe(picture, submitted.parameters)
                found.append(ResultPicture(picture.image, text, picture, number))
            elif index not in job.wanted:
                image, text = self._keeper.kept(number)
                picture = self._studio.hashed(job.picture(index, image))
                found.append(ResultPicture(image, text, picture, number, kept=True))
        return found


def _next(course: Course, answers: Any) -> Step | Result:
    try:
        return next(course) if answers is None else course.send(answers)
    except StopIteration as end:
        result: Result = end.value
        return result
