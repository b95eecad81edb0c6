"""The device side: the checkpoint that serves, the pictures under way, and one turn of the loop at a time."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import structlog
import torch

from easel.models import ModelFile
from easel.studio.engine.call_widths import CallWidths
from easel.studio.engine.capacity import Capacity
from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.checkpoint_cache import CheckpointCache
from easel.studio.engine.compiling import Compiling
from easel.studio.engine.control_cache import ControlCache
from easel.studio.engine.cpu_threads import threads_for
from easel.studio.engine.device_calls import TOGETHER, BackboneCall, OtherCheckpoint, UpscaleCall, VaeCall
from easel.studio.engine.device_clock import DeviceClock
from easel.studio.engine.device_errors import memory_errors, network_errors
from easel.studio.engine.errors import OutOfMemory
from easel.studio.engine.fair_share import FairShare
from easel.studio.engine.job import Job
from easel.studio.engine.loading import load_checkpoint
from easel.studio.engine.memory import DeviceMemory, TooLarge, give_back
from easel.studio.engine.observer import EngineObserver
from easel.studio.engine.picture import Picture
from easel.studio.engine.precision import precision
from easel.studio.engine.room import Room
from easel.studio.engine.serving import Serving
from easel.studio.engine.shared_call import answer_together, timed_as
from easel.studio.engine.size_check import SizeCheck
from easel.studio.engine.small_networks import SmallNetworks
from easel.studio.engine.step_times import WARM_UP, StepTimes
from easel.studio.engine.vae_runs import STRETCH_SECONDS, VaeRun

log = structlog.get_logger(__name__)

Report = Callable[[str, float], None]


class Turned(NamedTuple):
    """What a turn did: whose turn it was, pictures that made a step, those whose image is there, those that
    another checkpoint has to go on with (which are under way no more)."""

    chosen: list[Picture]
    stepped: list[Picture]
    through: list[Picture]
    leaving: list[Picture]


class Loop:
    """Draws pictures of one checkpoint at a time, on one device. Used from the engine's thread only."""

    def __init__(
        self,
        step_times: StepTimes,
        device: str | None = None,
        dtype: torch.dtype | str | None = None,
        *,
        capacity: Capacity | None = None,
        memory: DeviceMemory | None = None,
        observer: EngineObserver | None = None,
        others: Callable[[], Iterable[ModelFile]] = tuple,
        widths: Path | None = None,
        compiling: Compiling | None = None,
    ) -> None:
        """`step_times` and `capacity` learn; `memory` is the device's, `others` are the store's files. What
        is measured of calls for several pictures is kept in the folder `widths`; `compiling` says whether
        what backbones repeat is compiled."""
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._memory = memory or DeviceMemory(self.device)
        self._room = Room(self._memory, capacity or Capacity())
        self._sizes = SizeCheck(step_times, self._room, self._free_something)
        self.dtype = dtype if isinstance(dtype, torch.dtype) else precision(dtype or "auto", self.device)
        self.others = others
        self._at_hand: Serving | None = None
        self.active: list[Picture] = []
        self._fair_share = FairShare()
        self._compiling = compiling or Compiling()
        self.widths = CallWidths(self.device, self._room, widths, how=self._compiling.how)
        self._runs: dict[Hashable, tuple[VaeRun, list[Picture]]] = {}
        self._numbers = itertools.count()
        self._cache = CheckpointCache(self._memory, self.dtype, self._let_go, others)
        self._controls = ControlCache(self._memory, self._controlling, self._cache.make_room)
        self._small_networks = SmallNetworks(self.device, self._free_something)
        self._clock = DeviceClock(self.device, observer)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint that serves now."""
        return self._at_hand.checkpoint if self._at_hand else None

    @property
    def serving(self) -> ModelFile | None:
        """Its file."""
        return self._at_hand.checkpoint.file if self._at_hand else None

    @property
    def resident(self) -> int:
        """Checkpoints in memory: the one that serves, and those that are kept."""
        return len(self._cache) + (self.serving is not None and self.serving not in self._cache)

    def drawing(self) -> Counter[str]:
        """Pictures under way by owner."""
        return Counter(picture.owner for picture in self.active)

    def room(self) -> bool:
        """Whether a wider call would still pay, so that an owner's next picture may join."""
        if not self.active:
            return True
        kinds = {timed_as(picture.kind, self.active) for picture in self.active}
        return len(self.active) < self.widths.widest(kinds)

    def switch(self, file: ModelFile, report: Report | None = None) -> None:
        """Serve another checkpoint. What goes wrong raises, and the old one goes on serving.

        The old one stays in memory until the new one is whole. Only where both do not fit does it leave
        first; should the new one then fail, it is loaded again.
        """
        old = self.checkpoint
        try:
            new = self._take(file, report, whole=old is not None)
        except TooLarge:
            if old is None or not file.path.exists():
                raise
            log.info("switch", step="unload first", old=old.file.name, new=file.name)
            self._serve(None)
            old_file = old.file
            if self._memory.apart:
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
        if old is not None and old.file != file:
            self._cache.keep(old)

    def prefetch(self, file: ModelFile) -> bool:
        """Begin to load a checkpoint that will be wanted, beside the drawing. Never raises for the file.

        False if another one is being loaded: ask again.
        """
        return file == self.serving or self._cache.prefetch(file)

    def _take(self, file: ModelFile, report: Report | None, *, whole: bool = False) -> Checkpoint:
        """From memory if it is kept there, else from the disk. What is in memory for nobody goes before any
        of its weights have to wait outside the device (`whole`: they do not), and that before what serves."""
        while True:
            try:
                return self._taken(file, report, whole=True)
            except (TooLarge, torch.OutOfMemoryError) as error:
                if self._free_something():
                    continue
                if self._memory.apart and not whole:
                    break
                if isinstance(error, TooLarge):
                    raise
                # the card has no room for a copy that memory has
                raise TooLarge(file.name, file.size, self._memory.free(), self.device) from None
        return self._taken(file, report, whole=False)

    def _taken(self, file: ModelFile, report: Report | None, *, whole: bool) -> Checkpoint:
        return self._cache.take(file, report, whole=whole) or self._load(file, report, whole=whole)

    def _load(self, file: ModelFile, report: Report | None, *, whole: bool = False) -> Checkpoint:
        return load_checkpoint(
            file, device=self.device, dtype=self.dtype, report=report, memory=self._memory, whole=whole,
            others=self.others, shared=self._cache.shared,
        )  # fmt: skip

    def _free_something(self) -> bool:
        """Have the device let go of something that nobody draws with; whether there was any."""
        if self._small_networks.clear():
            return True
        if self._at_hand is not None and self._at_hand.let_go():
            return True
        return self._controls.drop_oldest() if self._memory.apart else self._let_go()

    def _let_go(self) -> bool:
        """The same of main memory: of checkpoints and control models that which was used least lately."""
        stores: list[CheckpointCache | ControlCache] = [self._cache]
        if not self._memory.apart:
            stores.append(self._controls)
        ages = [(age, store) for store in stores if (age := store.oldest()) is not None]
        return bool(ages) and min(ages, key=lambda one: one[0])[1].drop_oldest()

    def _controlling(self) -> set[ModelFile]:
        """Files of the control models that pictures under way are drawn with."""
        return {file for one in self.active for file in one.job.control_files}

    def _serve(self, checkpoint: Checkpoint | None) -> None:
        if self._at_hand is not None:
            self._at_hand.adapters.clear()  # the one that goes may be kept, as its file has it
        self._at_hand = None
        if checkpoint is not None:
            self._at_hand = Serving(checkpoint, self._controls, self._clock, compiling=self._compiling)
        give_back(self.device)
        self._room.serve(checkpoint)

    def _now(self) -> Serving:
        assert self._at_hand is not None  # noqa: S101 - pictures are under way only on a checkpoint
        return self._at_hand

    @torch.inference_mode()
    def begin(self, picture: Picture) -> None:
        """Let a picture join at the next turn, or join again on the checkpoint that it asked for. It does not
        where another one has to go on at once.

        Raises a FileError for a LoRA, control model, VAE or small network that cannot be used,
        InvalidRequest for a prompt of too many tokens, StepTooLong, OutOfMemory.
        """
        with memory_errors(picture, self.device):
            self._begin(picture)

    def _begin(self, picture: Picture) -> None:
        job = picture.job
        self._clock.jobs = (job,)
        self._small_networks.give(picture)
        if picture.checkpoint is None:
            picture.begin(None)
            self.active.append(picture)
            return
        serving = self._now()
        serving.look_at(job)
        drawing = (one.course.prompts.loras for one in self.active)
        in_use = {use.file for loras in drawing for use in loras}
        for words in (
            *serving.checkpoint.notes,
            *serving.adapters.need(
                picture.course.prompts.loras, in_use, going_on=serving.checkpoint.file != job.drawn_with
            ),
            *serving.control_models.need(job.controls, job.control_files),
            *serving.image_prompts.need(job.image_prompts, picture.course.source_index, job.control_files),
        ):
            job.note(words)
        picture.begin(serving)
        self._look_at_size(picture)
        if not isinstance(picture.call, OtherCheckpoint):
            self.active.append(picture)

    def _look_at_size(self, picture: Picture) -> None:
        if isinstance(picture.call, BackboneCall):
            self._sizes.look(picture, picture.call, self._now().checkpoint)

    @torch.inference_mode()
    def turn(self, only: Job | None = None) -> Turned:
        """One piece of work for the pictures whose turn it is: a backbone call, or a stretch of a VAE.
        `only`: those of this job have it, if there are any.

        Raises OutOfMemory when the device has no room for a single one of them, and StepTooLong.
        """
        turns = [picture for picture in self.active if picture.job is only] or self.active
        chosen = self._fair_share.choose(turns, self._bucket)
        self._clock.jobs = tuple(one.job for one in chosen)
        with threads_for(self.device, sum(one.cost for one in chosen)):
            if isinstance(chosen[0].call, BackboneCall):
                answered = stepped = self._step(chosen)
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
        return Turned(chosen, stepped, [one for one in answered if one.image is not None], leaving)

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
        assert isinstance(call, BackboneCall)  # noqa: S101 - nothing else is under way
        if call.alone:
            return 1
        return self.widths.bucket(call, timed_as(kind, self.active), available)

    def _step(self, chosen: list[Picture]) -> list[Picture]:
        """One backbone call. Returns those it stepped: nobody, where all of them at once were too many."""
        serving, first = self._now(), chosen[0]
        calls = [one.call for one in chosen if isinstance(one.call, BackboneCall)]
        kind = timed_as(first.kind, self.active)
        timed = self.widths.begin(kind, len(chosen), anew=first.course.position <= WARM_UP)
        try:
            rows = sum(call.rows for call in calls)
            with memory_errors(first, self.device), self._clock.call("backbone", rows):
                outputs = answer_together(serving, chosen)
        except OutOfMemory:
            kept = serving.let_go()
            if len(chosen) == 1:
                if kept:
                    return []
                raise
            self.widths.too_much(calls[0], kind, len(chosen))
            return []
        seconds = self.widths.end(timed)
        if seconds is not None and len(chosen) == 1:
            self._sizes.record(serving.checkpoint, calls[0], seconds)
            # Once, as soon as it was measured: what draws well is not ended for a neighbour's noise.
            if first.course.position == WARM_UP:
                self._sizes.see_that_it_is_short(first, calls[0], serving.checkpoint)
        for picture, output in outputs:
            self._answer(picture, output)
        return chosen

    def _answer(self, picture: Picture, answer: Any) -> None:
        """Go on with what the device made. What fails here ends this picture's job; those behind it in the
        same call have it made again."""
        with memory_errors(picture, self.device):
            picture.answer(answer)
            self._look_at_size(picture)

    def _run_vae(self, chosen: list[Picture]) -> list[Picture]:
        """A stretch of decoding or encoding. Returns those who are through it."""
        calls = [one.call for one in chosen if isinstance(one.call, VaeCall)]
        kind = chosen[0].kind
        try:
            with memory_errors(chosen[0], self.device):
                if kind not in self._runs:
                    kind = next(self._numbers)
                    together, side = self._room.vae_side(calls[0], len(calls))
                    self._runs[kind] = VaeRun(calls, together=together, side=side), chosen
                    for call in calls:
                        call.kind = kind
                with self._clock.call("vae_decode" if calls[0].way == "decode" else "vae_encode"):
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
            self._answer(picture, answer)
        return [picture for picture, _ in there]

    def _upscale(self, picture: Picture, call: UpscaleCall) -> list[Picture]:
        """A tile of a pass of an upscaler, a face, or a look for faces. Returns the picture once it is
        through."""
        with (
            network_errors(picture, call.run.words),
            memory_errors(picture, self.device),
            self._clock.call(call.run.calls),
        ):
            answer = call.run.go_on()
        picture.course.enlarged = call.run.share
        if answer is None:
            return []
        picture.course.enlarged = 0.0
        self._answer(picture, answer)
        return [picture]

    @torch.inference_mode()
    def preview(self, picture: Picture) -> Any:
        """A look at a picture under way; None while there is nothing to see, or no memory for it."""
        course = picture.course
        if course.estimate is None:
            return None
        try:
            with memory_errors(picture, self.device):
                return self._now().previews.draw(course.estimate, course.vae)
        except OutOfMemory:
            log.warning("no preview", reason="out of memory")
            return None

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
