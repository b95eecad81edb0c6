"""The device side: the checkpoint that serves, the pictures under way, and one turn of the loop at a time."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import structlog
import torch

from easel.models import ModelFile
from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.checkpoint_cache import CheckpointCache
from easel.studio.engine.device_calls import TOGETHER, OtherCheckpoint, UNetCall, UpscaleCall, VaeCall
from easel.studio.engine.errors import EngineError, OutOfMemory, StepTooLong, UpscalerFailed
from easel.studio.engine.face_models import FaceModels
from easel.studio.engine.fair_share import FairShare
from easel.studio.engine.job import Job
from easel.studio.engine.loading import load_checkpoint
from easel.studio.engine.memory import TooLarge, available, give_back, is_out_of_memory
from easel.studio.engine.picture import Picture, call_unet
from easel.studio.engine.serving import Serving
from easel.studio.engine.step_times import WARM_UP, StepTimes
from easel.studio.engine.unet_batch import UNetBatchSize
from easel.studio.engine.upscaler_models import UpscalerModels
from easel.studio.engine.vae_runs import STRETCH_SECONDS, VaeRun

log = structlog.get_logger(__name__)

Report = Callable[[str, float], None]


class Turned(NamedTuple):
    """What a turn did: pictures that made a step, those whose image is there, those that another checkpoint
    has to go on with (which are under way no more)."""

    stepped: list[Picture]
    through: list[Picture]
    leaving: list[Picture]


class Loop:
    """Draws pictures of one checkpoint at a time, on one device. Used from the engine's thread only."""

    def __init__(
        self, step_times: StepTimes, device: str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        self._step_times = step_times
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = dtype or (torch.float16 if self.device.type == "cuda" else torch.float32)
        self._at_hand: Serving | None = None
        self.active: list[Picture] = []
        self._fair_share = FairShare()
        self._batch_size = UNetBatchSize()
        self._runs: dict[Hashable, tuple[VaeRun, list[Picture]]] = {}
        self._numbers = itertools.count()
        self._cache = CheckpointCache(self.device, self.dtype)
        self._upscalers = UpscalerModels(self.device)
        self._faces = FaceModels(self.device)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint that serves now."""
        return self._at_hand.checkpoint if self._at_hand else None

    @property
    def serving(self) -> ModelFile | None:
        """Its file."""
        return self._at_hand.checkpoint.file if self._at_hand else None

    def drawing(self) -> Counter[str]:
        """Pictures under way by owner."""
        return Counter(picture.owner for picture in self.active)

    def room(self) -> bool:
        """Whether a wider call would still pay, so that an owner's next picture may join."""
        if not self.active:
            return True
        return len(self.active) < max(self._batch_size.limit(kind) for kind in {p.kind for p in self.active})

    def switch(self, file: ModelFile, report: Report | None = None) -> None:
        """Serve another checkpoint. What goes wrong raises, and the old one goes on serving.

        The old one stays in memory until the new one is whole. Only where both do not fit does it leave
        first; should the new one then fail, it is loaded again.
        """
        old = self.checkpoint
        try:
            new = self._take(file, report)
        except TooLarge:
            if old is None or not file.path.exists():
                raise
            log.info("switch", step="unload first", old=old.file.name, new=file.name)
            self._serve(None)
            old_file = old.file
            if self.device.type != "cpu":
                self._cache.keep(old)
            del old
            try:
                new = self._take(file, report)
            except Exception:
                self._serve(self._take(old_file, report))
                raise
            self._serve(new)
            return
        self._serve(new)
        if old is not None:
            self._cache.keep(old)

    def prefetch(self, file: ModelFile) -> bool:
        """Begin to load a checkpoint that will be wanted, beside the drawing. Never raises for the file.

        False if another one is being loaded: ask again.
        """
        return file == self.serving or self._cache.prefetch(file)

    def _take(self, file: ModelFile, report: Report | None) -> Checkpoint:
        """From memory if it is kept there, else from the disk. What is kept goes before what serves."""
        while True:
            try:
                return self._cache.take(file, report) or self._load(file, report)
            except (TooLarge, torch.OutOfMemoryError) as error:
                if self._upscalers.clear() or self._faces.clear():
                    continue
                if self.device.type == "cpu" and self._cache.drop_oldest():
                    continue
                if isinstance(error, TooLarge):
                    raise
                # the card has no room for a copy that memory has
                raise TooLarge(file.name, file.size, available(self.device), self.device) from None

    def _load(self, file: ModelFile, report: Report | None) -> Checkpoint:
        return load_checkpoint(file, device=self.device, dtype=self.dtype, report=report)

    def _serve(self, checkpoint: Checkpoint | None) -> None:
        if self._at_hand is not None:
            self._at_hand.adapters.clear()  # the one that goes may be kept, as its file has it
        self._at_hand = Serving(checkpoint) if checkpoint is not None else None
        give_back(self.device)

    def _now(self) -> Serving:
        assert self._at_hand is not None  # noqa: S101 - pictures are under way only on a checkpoint
        return self._at_hand

    @torch.inference_mode()
    def begin(self, picture: Picture) -> None:
        """Let a picture join at the next turn, or join again on the checkpoint that it asked for. It does not
        where another one has to go on at once.

        Raises a FileError for a LoRA, control model, VAE, upscaler or face restorer that cannot be
        used, InvalidRequest for a prompt of too many tokens, StepTooLong.
        """
        job = picture.job
        picture.course.upscalers = {name: self._upscalers.get(file) for name, file in job.upscalers.items()}
        picture.course.faces = self._faces.get(job.faces)
        if picture.checkpoint is None:
            picture.begin(None)
            self.active.append(picture)
            return
        serving = self._now()
        drawing = (one.course.prompts.loras for one in self.active)
        controlling = {file for one in (*self.active, picture) for file in one.job.control_files}
        in_use = {use.file for loras in drawing for use in loras}
        for words in (
            *serving.checkpoint.notes,
            *serving.adapters.need(picture.course.prompts.loras, in_use),
            *serving.image_prompts.need(job.image_prompts, picture.course.source_index, controlling),
            *serving.control_models.need(job.controls, controlling),
        ):
            job.note(words)
        serving.note_clip_skip(job)
        picture.begin(serving)
        self._look_at_size(picture)
        if not isinstance(picture.call, OtherCheckpoint):
            self.active.append(picture)

    def _look_at_size(self, picture: Picture) -> None:
        """Before the first call of a size larger than the checkpoint's own. Raises StepTooLong."""
        call = picture.call
        if not isinstance(call, UNetCall) or picture.seen_size == call.latents.shape:
            return
        picture.seen_size = call.latents.shape
        family = self._now().checkpoint.family
        if call.latent_pixels > (family.native // family.downscale) ** 2:
            self._probe(call)
            self._see_that_it_is_short(picture, call)

    def _probe(self, call: UNetCall) -> None:
        """Time the checkpoint at its own size, where nothing is known of it yet: a first call of a much
        larger one might take minutes."""
        checkpoint = self._now().checkpoint
        if self._step_times.seconds(checkpoint.file, call.cost) is not None:
            return
        side = checkpoint.family.native // checkpoint.family.downscale
        small = UNetCall(
            latents=torch.zeros((1, call.latents.shape[1], side, side), device=self.device),
            timestep=call.timestep,
            tokens=call.tokens[:1],
            added={name: rows[:1] for name, rows in call.added.items()},
            extra=None if call.extra is None else torch.zeros_like(call.extra[..., :1, :1]).expand(
                -1, -1, side, side
            ),
            kind=None,
        )  # fmt: skip
        for _ in range(WARM_UP + 1):
            began = time.perf_counter()
            call_unet(checkpoint.unet, [small], checkpoint.dtype)
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            self._record(side * side, time.perf_counter() - began)

    def _record(self, cost: int, seconds: float) -> None:
        checkpoint = self._now().checkpoint
        family = checkpoint.family
        self._step_times.record(checkpoint.file, family.native, family.downscale, cost, seconds)

    def _see_that_it_is_short(self, picture: Picture, call: UNetCall) -> None:
        """Raise StepTooLong for a picture whose step would keep the device from everybody else."""
        checkpoint = self._now().checkpoint
        height, width = (side * checkpoint.family.downscale for side in call.latents.shape[-2:])
        try:
            self._step_times.check(checkpoint.file, width, height, call.rows)
        except StepTooLong as error:
            raise StepTooLong(str(error), picture.job.id) from None

    @torch.inference_mode()
    def turn(self, only: Job | None = None) -> Turned:
        """One piece of work for the pictures whose turn it is: a UNet call, or a stretch of a VAE. `only`:
        those of this job have it, if there are any.

        Raises OutOfMemory when the device has no room for a single one of them, and StepTooLong.
        """
        turns = [picture for picture in self.active if picture.job is only] or self.active
        chosen = self._fair_share.choose(turns, self._bucket)
        if isinstance(chosen[0].call, UNetCall):
            answered = self._step(chosen)
            stepped = answered
        elif isinstance(chosen[0].call, UpscaleCall):
            answered, stepped = self._upscale(chosen[0], chosen[0].call), chosen
        else:
            answered, stepped = self._run_vae(chosen), []
        for picture in chosen:  # oldest turn first
            self.active.remove(picture)
            self.active.append(picture)
        leaving = [one for one in answered if isinstance(one.call, OtherCheckpoint)]
        for picture in leaving:
            self.drop(picture)
        return Turned(stepped, [one for one in answered if one.image is not None], leaving)

    def stop_here(self, picture: Picture) -> None:
        """Let a picture end as it is; it is decoded in its turn."""
        before = picture.kind
        picture.stop_here()
        self._tidy(before)

    def _bucket(self, kind: Hashable, available: int) -> int:
        call = next(one.call for one in self.active if one.kind == kind)
        if isinstance(call, VaeCall):
            return available if kind in self._runs else max(1, min(available, TOGETHER // call.latent_pixels))
        if isinstance(call, UpscaleCall):
            return 1
        return self._batch_size.bucket(kind, available)

    def _step(self, chosen: list[Picture]) -> list[Picture]:
        """One UNet call. Returns those it stepped: nobody, where all of them at once were too many."""
        serving, first = self._now(), chosen[0]
        calls = [one.call for one in chosen if isinstance(one.call, UNetCall)]
        kind, cost = first.kind, first.cost
        began = time.perf_counter()
        measuring = self.device.type == "cuda" and not self._batch_size.measured(kind, len(chosen))
        try:
            with _memory_errors(first), serving.adapters.at_work(first.course.loras_of_step):
                outputs = call_unet(serving.checkpoint.unet, calls, serving.checkpoint.dtype)
        except OutOfMemory:
            if len(chosen) == 1:
                raise
            self._batch_size.out_of_memory(kind, len(chosen))
            log.warning("narrower", pictures=len(chosen), reason="out of memory")
            return []
        if measuring:
            torch.cuda.synchronize()
        if self.device.type != "cuda" or measuring:
            seconds = time.perf_counter() - began
            self._batch_size.record(kind, len(chosen), seconds)
            if len(chosen) == 1:
                self._record(cost, seconds)
                # Once, as soon as it was measured: what draws well is not ended for a neighbour's noise.
                if first.course.position == WARM_UP:
                    self._see_that_it_is_short(first, calls[0])
        for picture, output in zip(chosen, outputs, strict=True):
            picture.answer(output)
            self._look_at_size(picture)
        return chosen

    def _run_vae(self, chosen: list[Picture]) -> list[Picture]:
        """A stretch of decoding or encoding. Returns those who are through it."""
        calls = [one.call for one in chosen if isinstance(one.call, VaeCall)]
        kind = chosen[0].kind
        try:
            with _memory_errors(chosen[0]):
                if kind not in self._runs:
                    kind = next(self._numbers)
                    self._runs[kind] = VaeRun(calls), chosen
                    for call in calls:
                        call.kind = kind
                answers = self._runs[kind][0].go_on(STRETCH_SECONDS)
        except Exception:
            self._runs.pop(kind, None)
            for call in calls:
                call.alone()
            raise
        if answers is None:
            return []
        run, group = self._runs.pop(kind)
        self._now().previews.took(run)
        there = [(one, answer) for one, answer in zip(group, answers, strict=True) if one in self.active]
        for picture, answer in there:
            picture.answer(answer)
            self._look_at_size(picture)
        return [picture for picture, _ in there]

    def _upscale(self, picture: Picture, call: UpscaleCall) -> list[Picture]:
        """A tile of a pass of an upscaler, or a face. Returns the picture once it is through."""
        with _network_errors(picture, call.run.words), _memory_errors(picture):
            answer = call.run.go_on()
        picture.course.enlarged = call.run.share
        if answer is None:
            return []
        picture.course.enlarged = 0.0
        picture.answer(answer)
        self._look_at_size(picture)
        return [picture]

    @torch.inference_mode()
    def preview(self, picture: Picture) -> Any:
        """A look at a picture under way; None while there is nothing to see."""
        course = picture.course
        return None if course.estimate is None else self._now().previews.draw(course.estimate, course.vae)

    def drop(self, picture: Picture) -> None:
        """A picture leaves, finished or not."""
        if picture in self.active:
            self.active.remove(picture)
        if isinstance(picture.call, VaeCall):
            self._tidy(picture.kind)

    def _tidy(self, kind: Hashable) -> None:
        """Forget a run through a VAE that nobody waits for any more."""
        if not any(isinstance(one.call, VaeCall) and one.kind == kind for one in self.active):
            self._runs.pop(kind, None)


@contextmanager
def _network_errors(picture: Picture, what: str) -> Iterator[None]:
    """What a stranger's network stumbles over ends the job that chose it, and no other."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        words = f"the {what} failed: {type(error).__name__}: {str(error)[:200]}; choose another one"
        raise UpscalerFailed(words, picture.job.id) from error


@contextmanager
def _memory_errors(picture: Picture) -> Iterator[None]:
    """Out of memory in the words of somebody who has to do something about it."""
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        last = picture.job.request.passes()[-1]
        raise OutOfMemory(
            f"no memory for a picture of {last.width}x{last.height}; "
            "draw it smaller, or give the endpoint a shape with more memory",
            picture.job.id,
        ) from error
