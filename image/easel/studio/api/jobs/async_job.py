"""One asynchronous request in the process that draws it."""

from __future__ import annotations

import asyncio
from typing import Any

from easel.models import ModelFile
from easel.studio.api.drawn_request import DrawnRequest, draw
from easel.studio.api.extras_run import ExtrasRun
from easel.studio.api.generation_info import information
from easel.studio.api.hanging_up import Unattended
from easel.studio.api.jobs.kept_pictures import KeptPictures
from easel.studio.api.jobs.record import AcceptedBody, AcceptedRequest, JobAnswer, RequestKind
from easel.studio.api.keeper import PictureFile
from easel.studio.api.request_run import RequestRun
from easel.studio.api.requests.answer_format import AnswerFormat
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.extras_request import ExtrasBatchRequest, ExtrasRequest, ExtrasSingleRequest
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import ResultPicture
from easel.studio.api.requests.text_to_image_request import TextToImageRequest
from easel.studio.api.scripts.selectable import course_of
from easel.studio.engine import FINAL, Job, JobState, Stopped, TextToImage, chance, units_left
from easel.studio.studio import Studio

KINDS: dict[RequestKind, type[DrawingRequest | ExtrasRequest]] = {
    "txt2img": TextToImageRequest,
    "img2img": ImageToImageRequest,
    "extra-single-image": ExtrasSingleRequest,
    "extra-batch-images": ExtrasBatchRequest,
}
Planned = list[tuple[ModelFile | None, TextToImage]]


class AsyncJob:
    """A request that was accepted: waiting for its turn, or under way as `task`.

    `planned` is what it begins with, by checkpoint. `news` are sentences on its life beside the drawing.
    """

    def __init__(self, studio: Studio, pictures: KeptPictures, planned: Planned) -> None:
        self.pictures = pictures
        self.planned = planned
        self.task: asyncio.Task[None] | None = None
        self.withdrawn = False
        self.saving = False
        self.news: list[str] = []
        self._studio = studio
        self._run: RequestRun | ExtrasRun | None = None

    @property
    def record(self) -> AcceptedRequest:
        """What is kept of it."""
        return self.pictures.record

    @property
    def jobs(self) -> list[Job]:
        """What the engine has been given for it."""
        return self._run.jobs if self._run else []

    @property
    def begun(self) -> bool:
        """Whether anything of it was drawn, or is being drawn."""
        return any(job.state not in (JobState.QUEUED, JobState.LOADING) for job in self.jobs)

    @property
    def pictures_left(self) -> int:
        """Pictures that are not there."""
        return max(0, self.record.pictures - len(self.record.done))

    @property
    def notes(self) -> list[str]:
        """What there is to say of it by now."""
        return [*self.news, *(self._run.notes if self._run else [])]

    def work_left(self) -> float | None:
        """Seconds of the device for what is not drawn; None where nothing was measured yet."""
        left = [job.progress().work_left for job in self.jobs if job.state not in FINAL]
        known = [one for one in left if one is not None]
        if self.jobs and len(known) == len(left):
            return sum(known)
        whole, pictures = _seconds(self._studio, self.planned), self.record.pictures
        return None if whole is None else whole * self.pictures_left / max(1, pictures)

    def units_left(self) -> float:
        """The same in the units by which shares are fair."""
        if self.jobs:
            return sum(job.progress().units_left for job in self.jobs if job.state not in FINAL)
        whole = sum(units_left(request) * request.pictures for _, request in self.planned)
        return whole * self.pictures_left / max(1, self.record.pictures)

    def switch(self) -> float:
        """Seconds until the checkpoint that it begins with is there, beside waiting for its turn."""
        checkpoint = next((one for one, _ in self.planned if one is not None), None)
        if self.begun or checkpoint in (None, self._studio.engine.status().checkpoint):
            return 0.0
        return self._studio.engine.pace.loading(checkpoint)

    def taken_back(self) -> None:
        """The engine has nothing of it any more: what it was given and gave up counts for nothing begun."""
        self._run = None

    def cancel(self, *, keep_partial: bool) -> bool:
        """Stop it. False where it has given the engine nothing, and nothing needs to be waited for."""
        if self._run is None or not self._run.jobs:
            return False
        self._run.cancel(keep_partial=keep_partial)
        return True

    @property
    def cancelled(self) -> bool:
        """Whether it was ended before all of it was there."""
        return bool(self.record.cancel) or any(job.cancelled for job in self.jobs)

    async def draw(self, accepted: AcceptedBody) -> JobAnswer:
        """Draw it, save it, and say what the answer is. Raises what ends a job."""
        self._run = None
        with chance(accepted.salt), self._studio.activity.busy():
            asked = KINDS[self.record.kind].model_validate(accepted.body)
            if isinstance(asked, ExtrasRequest):
                return await self._enlarge(asked, accepted.options)
            assert isinstance(asked, DrawingRequest)  # noqa: S101 - there is nothing else
            return await self._draw(asked, accepted.options)

    async def _draw(self, asked: DrawingRequest, options: dict[str, Any]) -> JobAnswer:
        ordering = Ordering(self._studio, self.record.owner, options)
        line = Unattended()
        self._run = run = RequestRun(self._studio, ordering, line, self.pictures)
        done = await draw(self._studio, self.record.owner, asked, ordering, run, line)
        await self._saved()
        for job in run.jobs:
            # Whoever waits gets what there is of a script; for a ticket the next process draws the rest.
            if isinstance(error := job.future.exception(timeout=0), Stopped):
                raise error
        made = await asyncio.to_thread(self._keep_made, done)
        drawn = [self.record.done[number] for number in sorted(self.record.done) if number not in made]
        # Pictures that were drawn in parts: the parts are no answer.
        alone = done.result.send_drawn and not _joined(done)
        understood = done.first.body if len(done.submitted) == 1 else done.body
        return JobAnswer(
            images=[self.record.done[number] for number in made] + (drawn if alone else []),
            parameters={**_shown(understood.echo()), "override_settings": _shown(asked.override_settings)},
            info=information(done.first, done.result, self.notes, done.started),
        )  # fmt: skip

    def _keep_made(self, done: DrawnRequest) -> list[int]:
        """Save grids, and what a script joined, and say by which numbers: behind all that is drawn."""
        how = AnswerFormat.of(done.first.settings)
        first = sum(one.job.request.pictures for one in done.submitted)
        made = [*done.result.grids, *_joined(done)]
        for number, one in enumerate(made, first):
            file = PictureFile(*how.file(one.image, one.text, kept=True), one.drawn.seed)
            self.pictures.keep(number, file)
        return list(range(first, first + len(made)))

    async def _enlarge(self, asked: ExtrasRequest, options: dict[str, Any]) -> JobAnswer:
        self._run = run = ExtrasRun(self._studio, self.record.owner, options, Unattended(), self.pictures)
        await run.begin(asked)
        await run.files()
        await self._saved()
        images = [self.record.done[number] for number in sorted(self.record.done)]
        return JobAnswer(images=images, html_info=run.html_info)

    async def _saved(self) -> None:
        """Wait until all that was drawn is saved. Raises NotSaved."""
        self.saving = True
        while open_tasks := [one for one in self.pictures.tasks if not one.done()]:
            await asyncio.gather(*(asyncio.wrap_future(one) for one in open_tasks))
        for task in self.pictures.tasks:
            task.result()
        if self.pictures.problem is not None:
            raise self.pictures.problem


def _joined(done: DrawnRequest) -> list[ResultPicture]:
    """Pictures that a script put together, as outpainting does, in the place of what was drawn."""
    return [one for one in done.result.drawn if one.number < 0]


def plan(
    studio: Studio, owner: str, kind: RequestKind, accepted: AcceptedBody
) -> tuple[Planned, list[str], dict[str, Any]]:
    """What a request begins with, sentences on it, and the body as it is shown. Raises what refuses it, as
    the synchronous route would, before anything is accepted."""
    with chance(accepted.salt):
        asked = KINDS[kind].model_validate(accepted.body)
        if isinstance(asked, ExtrasRequest):
            run = ExtrasRun(studio, owner, accepted.options, Unattended())
            run.look_at(asked)
            planned: Planned = [(None, one) for one in run.requests]
            return planned, run.notes, asked.model_dump(exclude_unset=True, exclude={"image", "imageList"})
        assert isinstance(asked, DrawingRequest)  # noqa: S101 - there is nothing else
        ordering = Ordering(studio, owner, accepted.options)
        step = next(course_of(ordering.begin(asked), ordering))
        if not isinstance(step, list):
            return [], ordering.notes, _without_pictures(asked)
        prepared = [ordering.prepare(one) for one in step]
        first = studio.engine.check(owner, prepared[0].request)
        notes = [*ordering.notes, *prepared[0].notes, *first.notes]
        planned = [(studio.checkpoint_for(one.request.checkpoint), one.request) for one in prepared]
        return planned, notes, _without_pictures(asked)


def _seconds(studio: Studio, planned: Planned) -> float | None:
    seconds = 0.0
    for checkpoint, request in planned:
        one = studio.engine.pace.picture(checkpoint, request)
        if one is None:
            return None
        seconds += one * request.pictures
    return seconds


_LONGEST = 20_000
# Letters of all that is shown of one request: it is in memory for an hour, and written with each picture.
_SHOWN_AT_MOST = 200_000
_PICTURES = frozenset({"init_images", "mask", "reference_images"})


def _without_pictures(asked: DrawingRequest) -> dict[str, Any]:
    """What was asked for, without what is too long to be shown again and again."""
    found: dict[str, Any] = _shown(asked.model_dump(exclude_unset=True))
    return found


def _shown(value: Any) -> Any:
    """`value` with null in the places of pictures, wherever they are in it; its end is left out where all of
    it is too much."""
    return _shown_within(value, [_SHOWN_AT_MOST])


def _shown_within(value: Any, left: list[int]) -> Any:
    left[0] -= len(value) if isinstance(value, str) and len(value) <= _LONGEST else 1
    if left[0] < 0:
        return None
    if isinstance(value, dict):
        found = {}
        for key, one in value.items():
            left[0] -= len(key)
            found[key] = None if key in _PICTURES else _shown_within(one, left)
            if left[0] < 0:
                break
        return found
    if isinstance(value, list):
        found_items = []
        for one in value:
            found_items.append(_shown_within(one, left))
            if left[0] < 0:
                break
        return found_items
    if isinstance(value, str) and (len(value) > _LONGEST or value.startswith("data:")):
        return None
    return value
