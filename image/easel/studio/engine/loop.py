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
from easel.studio.engine.calls.cpu_threads import threads_for
from easel.studio.engine.calls.device_calls import (
    TOGETHER,
    BackboneCall,
    OtherCheckpoint,
    UpscaleCall,
    VaeCall,
)
from easel.studio.engine.calls.device_clock import DeviceClock
from easel.studio.engine.calls.step_times import WARM_UP, StepTimes
from easel.studio.engine.calls.vae_runs import STRETCH_SECONDS, VaeRun
from easel.studio.engine.checkpoint_at_hand import CheckpointAtHand
from easel.studio.engine.checkpoints.precision import precision
from easel.studio.engine.compiling import Compiling
from easel.studio.engine.device_errors import memory_errors, network_errors
from easel.studio.engine.errors import OutOfMemory
from easel.studio.engine.loading.capacity import Capacity
from easel.studio.engine.loading.room import Room
from easel.studio.engine.memory.device_memory import DeviceMemory
from easel.studio.engine.observer import EngineObserver
from easel.studio.engine.picture import Picture
from easel.studio.engine.queue.fair_share import FairShare
from easel.studio.engine.queue.job import Job
from easel.studio.engine.recorded.recording import Recording
from easel.studio.engine.serving import Serving
from easel.studio.engine.shared_call import answer_together, timed_as
from easel.studio.engine.size_check import SizeCheck
from easel.studio.engine.small_networks import SmallNetworks

log = structlog.get_logger(__name__)


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
        recording: Recording | None = None,
    ) -> None:
        """`step_times` and `capacity` learn; `memory` is the device's, `others` are the store's files. What
        is measured of calls for several pictures is kept in the folder `widths`; `compiling` says whether
        what backbones repeat is compiled, `recording` whether their calls are recorded."""
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        memory = memory or DeviceMemory(self.device)
        self._room = Room(memory, capacity or Capacity())
        self._sizes = SizeCheck(step_times, self._room, self._free_something)
        self.active: list[Picture] = []
        self._fair_share = FairShare()
        compiling, recording = compiling or Compiling(), recording or Recording()
        how = " ".join(filter(None, (compiling.how, recording.how)))
        self.widths = CallWidths(self.device, self._room, widths, how=how)
        self._runs: dict[Hashable, tuple[VaeRun, list[Picture]]] = {}
        self._numbers = itertools.count()
        self._clock = DeviceClock(self.device, observer)
        self._small_networks = SmallNetworks(self.device, self._free_something)
        self.at_hand = CheckpointAtHand(
            memory, self._room, self._clock,
            dtype=dtype if isinstance(dtype, torch.dtype) else precision(dtype or "auto", self.device),
            others=others, compiling=compiling, recording=recording,
            controlling=self._controlling, let_go=self._small_networks.clear,
        )  # fmt: skip

    def drawing(self) -> Counter[str]:
        """Pictures under way by owner."""
        return Counter(picture.owner for picture in self.active)

    def room(self) -> bool:
        """Whether a wider call would still pay, so that an owner's next picture may join."""
        if not self.active:
            return True
        kinds = {timed_as(picture.kind, self.active) for picture in self.active}
        return len(self.active) < self.widths.widest(kinds)

    def _free_something(self) -> bool:
        return self.at_hand.free_something()

    def _controlling(self) -> set[ModelFile]:
        """Files of the control models that pictures under way are drawn with."""
        return {file for one in self.active for file in one.job.control_files}

    def _now(self) -> Serving:
        serving = self.at_hand.serving
        assert serving is not None  # noqa: S101 - pictures are under way only on a checkpoint
        return serving

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
