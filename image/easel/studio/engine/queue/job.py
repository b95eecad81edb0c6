"""A job: one request on its way to pictures, and what may be seen of it from outside the engine's thread."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from easel.models import ModelFile
from easel.studio.engine.control_models.controls import PreparedControl
from easel.studio.engine.control_models.image_prompts import PreparedImagePrompt
from easel.studio.engine.control_models.references import PreparedReference
from easel.studio.engine.faces.face_files import FaceFiles
from easel.studio.engine.imaging import FaceArea, Prepared
from easel.studio.engine.interrogation.word_lists import RankedWords
from easel.studio.engine.networks.extra_networks import EmbeddingUse, LoraUse
from easel.studio.engine.requests.limits import work
from easel.studio.engine.requests.request import TextToImage
from easel.studio.engine.requests.source_image import GrowingSource
from easel.studio.engine.texts.picture_prompts import PicturePrompts

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


class JobState(StrEnum):
    """Where a job is. The last three are final."""

    QUEUED = "queued"
    LOADING = "loading"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


FINAL = frozenset({JobState.DONE, JobState.CANCELLED, JobState.FAILED})


@dataclass(frozen=True)
class Drawn:
    """One finished picture: RGB pixels and everything needed to draw it again.

    `partial` is true for a picture that was interrupted and shows what was there by then. `template` are
    the prompts that its own were drawn from, "" where they are the same. `notes` say what of the prompt was
    passed over, and why. `checkpoint` is None for one that was made larger and not drawn.
    """

    index: int
    image: Image
    seed: int
    subseed: int
    request: TextToImage
    checkpoint: ModelFile | None
    vae: ModelFile | None = None
    partial: bool = False
    template: tuple[str, str] = ("", "")
    loras: tuple[LoraUse, ...] = ()
    embeddings: tuple[EmbeddingUse, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def drawn_with(self) -> ModelFile:
        """The checkpoint of one that was drawn."""
        return _there(self.checkpoint)


@dataclass(frozen=True)
class ProgressReport:
    """A look at a job.

    `fraction` is of all its UNet calls; `eta` seconds, None until there is something to go by. `step` and
    `steps` are of the picture furthest along that is not finished, in sampler steps. `preview` is the newest
    live preview (RGB), None when nobody asked for one or nothing can be seen yet. `work_left` is seconds of
    the device, if it were this job's alone; None until such work was measured. `units_left` is the same in
    the units by which shares are fair.
    """

    state: JobState
    fraction: float
    step: int
    steps: int
    finished: int
    pictures: int
    ahead: int = 0
    eta: float | None = None
    preview: Image | None = None
    detail: str = ""
    work_left: float | None = None
    units_left: float = 0.0

    @property
    def pictures_left(self) -> int:
        """Pictures that are not there."""
        return self.pictures - self.finished


class Watcher(Protocol):
    """Who keeps a job's pictures as they come. Called on the engine's thread, so it must return at once."""

    @property
    def keep_every(self) -> float:
        """Seconds between two times that what a picture has reached is told."""

    def begun(self) -> None:
        """The first of them is about to be drawn."""

    def drawn(self, picture: Drawn) -> None:
        """One is finished."""

    def reached(self, index: int, first: int, answers: Sequence[Tensor]) -> None:
        """The UNet gave one of them these answers, the first of which is number `first` of all: given again
        to a picture of the same request, they lead to where it is without the UNet."""

    def answers(self, index: int) -> Sequence[Tensor]:
        """Those that one of them was given before this process lived, from the first on."""


@dataclass(eq=False)
class Job:
    """What `Engine.submit` returns. Safe to use from any thread.

    `future` resolves to the finished pictures in order (fewer than asked for when the job was cancelled), or
    to the error that ended it. `prompts` are one for all pictures or one for each;
    `embeddings` those of them that the checkpoint draws with, once it began. `sources` are the
    pictures to draw over, or to make larger, `shown` those that are looked at; `upscalers` the files of those
    that the request names, by these names; `controls` the control units with their pictures, `image_prompts`
    those that are IP-Adapters, `references` those that have no model;
    `faces` the files that find and restore faces; `face_areas` are those that were found, where nothing else
    was asked for. `interrogator` is the file that puts the picture into words, `ranked_words` are
    the lists that it is asked of beside, `words` what was found.
    `only` are the numbers of the pictures to draw, where it is not all of the request's.
    `checkpoint` is None where nothing is drawn.
    """

    owner: str
    request: TextToImage
    checkpoint: ModelFile | None
    prompts: tuple[PicturePrompts, ...]
    vae: ModelFile | None = None
    hires_checkpoint: ModelFile | None = None
    refiner: ModelFile | None = None
    sources: list[Prepared | GrowingSource] = field(default_factory=list)
    shown: tuple[Image, ...] = ()
    upscalers: Mapping[str, ModelFile] = field(default_factory=dict)
    controls: tuple[PreparedControl, ...] = ()
    image_prompts: tuple[PreparedImagePrompt, ...] = ()
    references: tuple[PreparedReference, ...] = ()
    faces: FaceFiles | None = None
    interrogator: ModelFile | None = None
    ranked_words: RankedWords | None = None
    only: tuple[int, ...] | None = None
    watcher: Watcher | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    submitted: float = field(default_factory=time.monotonic)
    future: Future[list[Drawn]] = field(default_factory=Future)
    embeddings: tuple[EmbeddingUse, ...] = ()
    face_areas: tuple[FaceArea, ...] = ()
    words: str = ""

    def __post_init__(self) -> None:
        self._notes = dict.fromkeys(words for one in self.prompts for words in one.notes)
        self._changed = threading.Condition()
        self._version = 0
        self._progress = ProgressReport(
            JobState.QUEUED,
            fraction=0.0,
            step=0,
            steps=self.request.steps,
            finished=0,
            pictures=len(self.wanted),
            detail="waiting",
        )
        self._preview_wanted = 0.0
        self._cancel: tuple[bool] | None = None
        self._skip = False
        self._wake: Callable[[], None] = lambda: None
        self._tell: Callable[[], None] = lambda: None

    @property
    def drawn_with(self) -> ModelFile:
        """The checkpoint of one that draws."""
        return _there(self.checkpoint)

    @property
    def wanted(self) -> Sequence[int]:
        """The numbers of the pictures to draw."""
        return range(self.request.pictures) if self.only is None else self.only

    @property
    def work(self) -> float:
        """Megapixel-steps of all of them."""
        return work(self.request) * len(self.wanted) / self.request.pictures

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the request was passed over, and why: sentences for whoever asked."""
        return tuple(self._notes)

    def note(self, words: str) -> None:
        """Add a note, once."""
        self._notes.setdefault(words)

    @property
    def state(self) -> JobState:
        """Where the job is now."""
        return self._progress.state

    def progress(self, *, preview: bool = False) -> ProgressReport:
        """How far the job is. Asking for a preview makes the engine draw one in the next second."""
        if preview:
            self._preview_wanted = time.monotonic()
        return self._progress

    def watch(
        self, *, preview: bool = False, every: float = 0.1, timeout: float | None = None
    ) -> Iterator[ProgressReport]:
        """Progress as it changes, at most once in `every` seconds, ending with a final one.

        Raises TimeoutError when nothing at all changed for `timeout` seconds.
        """
        seen = -1
        while True:
            seen = self._wait_past(seen, timeout)
            now = self.progress(preview=preview)
            yield now
            if now.state in FINAL:
                return
            time.sleep(every)

    def _wait_past(self, seen: int, timeout: float | None) -> int:
        with self._changed:
            if not self._changed.wait_for(lambda: self._version != seen or self.state in FINAL, timeout):
                raise TimeoutError(f"job {self.id} did not move for {timeout} s")
            return self._version

    def result(self, timeout: float | None = None) -> list[Drawn]:
        """Wait for the pictures. Raises what ended the job."""
        return self.future.result(timeout)

    def cancel(self, *, keep_partial: bool = False) -> None:
        """Stop at once. `keep_partial`: pictures under way are decoded as they are (A1111's interrupt)."""
        if self.state not in FINAL:
            self._cancel = (keep_partial,)
            self._wake()

    def skip(self) -> None:
        """Be content with what there is of the batch under way, and go on with the next (A1111's skip). Where
        there is one batch that ends the job."""
        if self.request.batch_count == 1:
            self.cancel(keep_partial=True)
        elif self.state not in FINAL:
            self._skip = True
            self._wake()

    # What follows is the engine's side.

    @property
    def control_files(self) -> tuple[ModelFile, ...]:
        """Files of the models that stand beside the checkpoint while its pictures are drawn."""
        return (*(one.file for one in self.controls), *(one.file for one in self.image_prompts))

    @property
    def cancelled(self) -> tuple[bool] | None:
        """None, or (keep_partial,) once somebody cancelled."""
        return self._cancel

    @property
    def skipped(self) -> bool:
        """Whether somebody wants the next batch; until `skip_heard`."""
        return self._skip

    def skip_heard(self) -> None:
        """It was done, or there was nothing to skip."""
        self._skip = False

    @property
    def preview_wanted(self) -> bool:
        """Whether somebody looked for a preview within the last two seconds."""
        return time.monotonic() - self._preview_wanted < 2.0

    def on_cancel(self, wake: Callable[[], None]) -> None:
        """The engine's doorbell, rung by `cancel`."""
        self._wake = wake

    def on_change(self, tell: Callable[[], None]) -> None:
        """Who is told of every new look, on the thread that publishes it: it must return at once."""
        self._tell = tell

    def publish(self, progress: ProgressReport) -> bool:
        """Make a new look visible and wake whoever watches. False, and nothing, once the job has ended."""
        with self._changed:
            if self._progress.state in FINAL:
                return False
            self._progress = progress
            self._version += 1
            self._changed.notify_all()
        self._tell()
        return True

    def picture(self, index: int, image: Image, *, partial: bool = False) -> Drawn:
        """One of its pictures, that is there: with all that it was drawn by."""
        request, prompts = self.request, self.prompts[index % len(self.prompts)]
        return Drawn(
            index=index,
            image=image,
            seed=request.seed_of(index),
            subseed=request.subseed + index,
            request=replace(request, prompt=prompts.prompt, negative_prompt=prompts.negative_prompt),
            checkpoint=self.checkpoint,
            vae=self.vae,
            partial=partial,
            template=(
                request.prompt if request.prompt != prompts.prompt else "",
                request.negative_prompt if request.negative_prompt != prompts.negative_prompt else "",
            ),
            loras=prompts.loras,
            embeddings=self.embeddings,
            notes=self.notes,
        )

    def fail(self, error: Exception) -> None:
        """End the job with an error, from any thread. Does nothing to one that has ended."""
        if self.publish(replace(self._progress, state=JobState.FAILED, detail=str(error))):
            self.future.set_exception(error)


def _there(checkpoint: ModelFile | None) -> ModelFile:
    assert checkpoint is not None  # noqa: S101 - what draws has one
    return checkpoint
