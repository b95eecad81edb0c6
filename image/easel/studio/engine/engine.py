"""The engine: takes requests from any thread, draws them on its own."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from easel.models import ModelFile, Store
from easel.remark import remark
from easel.studio.checkpoint_defaults import known_family
from easel.studio.engine.calls.step_times import StepTimes
from easel.studio.engine.checkpoints.chosen_parts import ChosenParts
from easel.studio.engine.checkpoints.default_checkpoint import DefaultCheckpoint
from easel.studio.engine.compiling import Compiling
from easel.studio.engine.control_models.controls import prepared_controls
from easel.studio.engine.control_models.image_prompts import prepared_image_prompts
from easel.studio.engine.control_models.references import prepared_references
from easel.studio.engine.errors import SHUT_DOWN, InvalidRequest, NoCheckpoint, Stopped
from easel.studio.engine.faces.face_files import FaceFiles, find_face_detector, find_face_files
from easel.studio.engine.imaging import LATENT_UPSCALE_MODES, Prepared
from easel.studio.engine.interrogation.files import find_interrogator
from easel.studio.engine.interrogation.word_lists import RankedWords, ranked_words
from easel.studio.engine.loading.capacity import Capacity, MemoryUse
from easel.studio.engine.observer import EngineObserver, EngineObservers
from easel.studio.engine.pace import Pace
from easel.studio.engine.prompts.composition import negative_counts, parts
from easel.studio.engine.queue.job import Job, JobState, Watcher
from easel.studio.engine.queue.job_queue import JobQueue, Status
from easel.studio.engine.recorded.recording import Recording
from easel.studio.engine.requests.limits import Limits
from easel.studio.engine.requests.request import TextToImage
from easel.studio.engine.requests.second_pass import HiresFix
from easel.studio.engine.requests.shown_pictures import opened_pictures, shown_pixels
from easel.studio.engine.requests.source_image import GrowingSource, opened, prepared_sources
from easel.studio.engine.texts.picture_prompts import picture_prompts
from easel.studio.engine.upscaling.enlargement import Enlargement
from easel.studio.engine.upscaling.upscaler_names import find_upscaler

if TYPE_CHECKING:
    import torch

log = structlog.get_logger(__name__)
_NO_GPU = remark(
    "no_gpu_noise", "There is no GPU here to draw noise: it is the CPU's, as A1111's is on such a machine."
)

# Seconds that a step under way may take beyond the time to finish.
_LAST_STEP = 0.5


class Engine:
    """Draws what is submitted, many pictures of many owners at once.

    `device` and `dtype` default to the GPU in half precision where there is one, else the CPU in single
    precision; a `dtype` may be named (`precision.PRECISIONS`). `default_checkpoint` is what requests that
    name none get; without it, what default.py says, by the file `served` among others, which says what served
    last. `limits` are what one request and one person may ask for. With `exact` every picture is
    (`TextToImage.exact`). What is measured of calls for several pictures is kept in the folder `widths`. It
    `compiles` what backbones repeat (`compiled_blocks`), and `records` their calls (`recorded_calls`).
    """

    def __init__(
        self,
        store: Store,
        *,
        device: str | None = None,
        dtype: torch.dtype | str | None = None,
        default_checkpoint: str | None = None,
        served: Path | None = None,
        limits: Limits | None = None,
        exact: bool = False,
        widths: Path | None = None,
        compiles: bool = False,
        records: bool = False,
    ) -> None:
        self.store = store
        self.limits = limits or Limits()
        self._device = device
        self._dtype = dtype
        self._exact, self._widths = exact, widths
        self._compiling, self._recording = Compiling(compiles), Recording(records)
        self._default = DefaultCheckpoint(store, default_checkpoint, served)
        self._chosen = ChosenParts(store)
        self._queue = JobQueue(self.limits)
        self._step_times = StepTimes(self.limits.step_seconds)
        self.pace = Pace()
        self._observers = EngineObservers()
        self._capacity = Capacity()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def observe(self, observer: EngineObserver) -> None:
        """Let `observer` hear what happens from now on."""
        self._observers.add(observer)

    def start(self) -> None:
        """Begin importing torch and loading the default checkpoint, in the background."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Take no more work, draw for `timeout` seconds what can be finished, and end the rest with Stopped.

        A step that outlasts the time is not waited for: its jobs are told without the engine's thread.
        """
        self._queue.stop(timeout)
        if self._thread.is_alive():
            self._thread.join(timeout + _LAST_STEP)
        for job in self._queue.jobs():
            job.fail(Stopped(SHUT_DOWN))

    def settled(self, request: TextToImage) -> TextToImage:
        """The request as it would be drawn now: seeds drawn, the checkpoint by its name.

        Submitted again, here or elsewhere, it means the same pictures while the files are the same. Raises as
        `submit` does.
        """
        resolved = request.resolved()
        checkpoint, _ = self._checkpoint(resolved.checkpoint)
        return replace(resolved, checkpoint=checkpoint.name)

    def submit(
        self,
        owner: str,
        request: TextToImage,
        *,
        only: tuple[int, ...] | None = None,
        watcher: Watcher | None = None,
    ) -> Job:
        """Queue a request; its pictures are drawn as their turn comes.

        `only` are the numbers of the pictures to draw, where it is not all of them. `watcher` hears of each
        picture as it comes.

        Raises at once what can be known at once: InvalidRequest, UnknownSampler, TooMuchWork, StepTooLong,
        OutOfMemory, NoCheckpoint, QueueFull, Stopped, and `easel.models.UnknownModel` for a checkpoint, VAE
        or ControlNet that is not there.
        """
        try:
            return self._put(self._job(owner, request, only, watcher))
        except Exception as error:
            self._observers.refused(error)
            raise

    def check(self, owner: str, request: TextToImage) -> Job:
        """A job as `submit` would make it, which is handed to nobody. Raises as `submit` does, but for what a
        full queue or an end would raise."""
        try:
            return self._job(owner, request, None, None)
        except Exception as error:
            self._observers.refused(error)
            raise

    def _job(
        self, owner: str, request: TextToImage, only: tuple[int, ...] | None, watcher: Watcher | None
    ) -> Job:
        resolved = replace(request.resolved(), exact=request.exact or self._exact)
        upscalers, limits = self._upscalers(resolved), self.limits.of_person(owner)
        resolved, faces, of_faces = self._with_faces(resolved)
        if resolved.enlargement is not None:
            limits.check(resolved)
            prompts = picture_prompts(resolved, self.store)
            sources: list[Prepared | GrowingSource] = [_sent(resolved.enlargement)]
            ranked, of_lists = self._ranked_words(resolved.enlargement)
            job = Job(
                owner, resolved, None, prompts,
                sources=sources, upscalers=upscalers, faces=faces, only=only, watcher=watcher,
                interrogator=self._interrogator(resolved.enlargement), ranked_words=ranked,
            )  # fmt: skip
            for words in filter(None, (of_faces, of_lists)):
                job.note(words)
            return job
        no_gpu = resolved.randn_source == "GPU" and self.status().device == "cpu"
        if no_gpu:
            resolved = replace(resolved, randn_source="CPU")
        limits.check(resolved)
        checkpoint, note = self._checkpoint(resolved.checkpoint)
        modules, hires = resolved.modules, resolved.hires
        named = self._chosen.named(modules, checkpoint, resolved.vae)
        checkpoint = self._chosen.completed(checkpoint, named.encoders)
        resolved = replace(resolved, modules=named.names)
        rows = len(parts(resolved.prompt)) + negative_counts(resolved.prompt, resolved.cfg_scale)
        family = known_family(checkpoint)
        shown = opened_pictures(resolved, family)
        pixels = shown_pixels([one.size for one in shown], family) if family is not None else 0
        for one in resolved.passes():
            self._step_times.check(checkpoint, one.width, one.height, rows, one.controls, pixels)
            self._capacity.check(checkpoint, one.width, one.height, rows, one.controls, pixels)
        sources = _sources(resolved)
        job = Job(
            owner=owner,
            request=resolved,
            checkpoint=checkpoint,
            vae=named.vae,
            prompts=picture_prompts(resolved, self.store),
            hires_checkpoint=self._second(hires, checkpoint, modules),
            refiner=self._other(resolved.refiner.checkpoint, modules) if resolved.refiner else None,
            sources=sources,
            shown=shown,
            upscalers=upscalers,
            faces=faces,
            controls=prepared_controls(resolved, self.store, sources),
            image_prompts=prepared_image_prompts(resolved, self.store, sources),
            references=prepared_references(resolved, sources),
            only=only,
            watcher=watcher,
        )
        of_controls = [words for one in job.controls for words in one.notes]
        of_controls += [words for one in job.image_prompts for words in one.notes]
        for words in (
            note,
            *named.notes,
            of_faces,
            *(source.comment for source in job.sources),
            *of_controls,
        ):
            if words:
                job.note(words)
        if no_gpu:
            job.note(_NO_GPU)
        return job

    def _put(self, job: Job) -> Job:
        if job.upscalers or job.faces:
            import_module("spandrel")  # two seconds, which nobody waits for on this thread but who asked
        if job.interrogator:
            import_module("transformers.models.blip.modeling_blip")  # the same
        if job.ranked_words:
            import_module("transformers.models.clip.modeling_clip")
        job.on_cancel(self._queue.ring)
        job.on_change(self._queue.changed)
        job.future.set_running_or_notify_cancel()  # only `Job.cancel` ends a job
        if not job.wanted:  # all of its pictures are there from an earlier life
            job.publish(replace(job.progress(), state=JobState.DONE, fraction=1.0))
            job.future.set_result([])
            return job
        self._queue.put(job)
        self._observers.accepted(job)
        return job

    def _upscalers(self, request: TextToImage) -> dict[str, ModelFile]:
        """The files of the upscalers that a request names. Raises InvalidRequest."""
        named: list[tuple[str, str]] = []
        if request.hires is not None and request.hires.upscaler not in LATENT_UPSCALE_MODES:
            named.append(("hr_upscaler", request.hires.upscaler))
        if request.source is not None and request.source.upscaler is not None:
            named.append(("upscaler_for_img2img", request.source.upscaler))
        if request.enlargement is not None:
            named += request.enlargement.upscalers
        found = {name: find_upscaler(self.store, field, name).file for field, name in named}
        return {name: file for name, file in found.items() if file is not None}

    def _with_faces(self, request: TextToImage) -> tuple[TextToImage, FaceFiles | None, str]:
        """The request by the name of what restores faces here, or without; its files; a note."""
        if request.enlargement is not None and request.enlargement.sure is not None:
            detector = find_face_detector(self.store)
            if detector is None:
                raise InvalidRequest("sure", request.enlargement.sure, "a file that finds faces")
            return request, FaceFiles("", None, detector), ""
        asked = request.enlargement.faces if request.enlargement is not None else request.faces
        if asked is None:
            return request, None, ""
        files, note = find_face_files(self.store, asked)
        found = replace(asked, model=files.name) if files is not None else None
        if request.enlargement is not None:
            return replace(request, enlargement=replace(request.enlargement, faces=found)), files, note
        return replace(request, faces=found), files, note

    def _interrogator(self, enlargement: Enlargement) -> ModelFile | None:
        """The file that puts the picture into words, where that is asked. Raises InvalidRequest."""
        asked = enlargement.interrogation
        return find_interrogator(self.store, asked.by) if asked is not None else None

    def _ranked_words(self, enlargement: Enlargement) -> tuple[RankedWords | None, str]:
        asked = enlargement.interrogation
        return ranked_words(self.store, asked) if asked is not None else (None, "")

    def _other(self, name: str, modules: Sequence[str]) -> ModelFile:
        """The checkpoint that another part of the way is drawn with."""
        return self._chosen.of(self.store.find_checkpoint(name), modules)

    def _second(self, hires: HiresFix | None, first: ModelFile, modules: Sequence[str]) -> ModelFile | None:
        """That of a second pass, None for the first pass's."""
        if hires is None or not (hires.checkpoint or hires.modules):
            return None
        return self._other(hires.checkpoint or first.name, hires.modules or modules)

    def _checkpoint(self, name: str | None) -> tuple[ModelFile, str]:
        """The checkpoint of a request, and what there is to say of the choice."""
        return (self.store.find_checkpoint(name), "") if name else self._default.find()

    def prefetch(self, owner: str, checkpoint: ModelFile, modules: Sequence[str] = ()) -> None:
        """Load the checkpoint that `owner` chose into main memory, if there is room and time for it, with the
        text encoders among `modules`. Raises what naming these raises.

        Their last choice counts, and after a moment only: who looks through a list fills no memory. What
        serves stays, whatever anybody chooses.
        """
        self._queue.prefetch_requests.add(owner, self._chosen.of(checkpoint, modules))
        self._queue.ring()

    def listen(self, changed: Callable[[], None]) -> None:
        """`changed` is told of every change of a job or of the status, on the thread that makes it: it must
        return at once. Say so before the first job."""
        self._queue.changed = changed

    def jobs(self, owner: str | None = None) -> list[Job]:
        """Jobs that are not finished, in the order they came; of one owner, or all."""
        return self._queue.jobs(owner)

    def status(self) -> Status:
        """What the engine is doing now."""
        now = self._queue.status()
        return replace(now, uncompiled=self._compiling.why, unrecorded=self._recording.why)

    def memory_use(self) -> MemoryUse | None:
        """How the checkpoint that serves lies in the device's memory; None where none does."""
        return self._capacity.now()

    def default_note(self) -> str:
        """What is to be said about the default checkpoint; "" where it is as everybody would expect."""
        try:
            return self._default.find()[1]
        except NoCheckpoint:
            return ""

    def default_checkpoint(self) -> ModelFile:
        """What a request that names no checkpoint is drawn with. Raises NoCheckpoint where there is none."""
        return self._default.find()[0]

    def _run(self) -> None:
        try:
            first: ModelFile | None = self._chosen.of(self.default_checkpoint())
        except NoCheckpoint as error:
            log.warning("no default checkpoint", reason=str(error))
            first = None
        began = time.perf_counter()
        try:
            from easel.studio.engine.loop import Loop
            from easel.studio.engine.worker import Worker

            log.info("imported", seconds=round(time.perf_counter() - began, 3))
            # What importing has made stays for good. Looking through it took 0.7 s at every switch of
            # checkpoints, in which no other thread ran. Before the first checkpoint: that must not stay.
            gc.freeze()
            loop = Loop(
                self._step_times,
                self._device,
                self._dtype,
                capacity=self._capacity,
                observer=self._observers,
                others=self._chosen.files,
                widths=self._widths,
                compiling=self._compiling,
                recording=self._recording,
            )
            worker = Worker(self._queue, loop, self.pace, self._default.served, self._observers)
        except Exception as error:
            words = remark("engine_not_started", "the engine did not start: {why}", why=error)
            self._queue.say("failed", words)
            raise
        try:
            worker.run(first)
        except Exception as error:
            # A fault of ours that no picture met: nobody may wait for ever for a thread that is gone.
            log.exception("the engine ended")
            self._queue.say("failed", remark("engine_ended", "the engine ended: {why}", why=error))
            self._queue.stop(0)
            for job in self._queue.jobs():
                job.fail(Stopped(SHUT_DOWN))
            raise


def _sources(request: TextToImage) -> list[Prepared | GrowingSource]:
    return [] if request.source is None else prepared_sources(request.source, request.width, request.height)


def _sent(enlargement: Enlargement) -> Prepared:
    """The picture to make larger, as it is. Raises InvalidRequest."""
    image = opened("image", enlargement.image)
    image = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    return Prepared(image, image)
