"""A look at each picture before its first call of a size: is there memory for it, and is a step short
enough."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from easel.remark import said_by
from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.calls.step_times import WARM_UP, StepTimes
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.errors import OutOfMemory, StepTooLong
from easel.studio.engine.loading.room import Room
from easel.studio.engine.picture import Picture
from easel.studio.engine.shared_call import call_backbone

# A neighbour's noise is in every measurement: the least of so many refuses a picture.
_LOOKS = 4


class SizeCheck:
    """For the pictures of one device. Used from the engine's thread only.

    `free_something` has the device let go of something that nobody draws with, and says whether there was
    any.
    """

    def __init__(self, step_times: StepTimes, room: Room, free_something: Callable[[], bool]) -> None:
        self._step_times, self._room, self._free_something = step_times, room, free_something

    def look(self, picture: Picture, call: BackboneCall, checkpoint: Checkpoint) -> None:
        """Before the first call of a size: whether there is room for it, and where it is larger than the
        checkpoint's own, time. Raises OutOfMemory and StepTooLong."""
        if picture.seen_size == call.latents.shape:
            return
        picture.seen_size = call.latents.shape
        self._see_that_it_fits(picture, call)
        family = checkpoint.family
        if call.latent_pixels > (family.native // family.downscale) ** 2:
            self._see_that_it_may_begin(picture, call, checkpoint)

    def record(self, checkpoint: Checkpoint, call: BackboneCall, seconds: float) -> None:
        """A call for one picture took so long. Of one without the deep part nothing is learned: no picture is
        drawn by such alone."""
        family = checkpoint.family
        if not call.shallow:
            self._step_times.record(checkpoint.file, family.native, family.downscale, call.cost, seconds)

    def see_that_it_is_short(self, picture: Picture, call: BackboneCall, checkpoint: Checkpoint) -> None:
        """Raise StepTooLong for a picture whose step would keep the device from everybody else."""
        scale = checkpoint.family.downscale
        height, width = (side * scale for side in call.latents.shape[-2:])
        shown = call.shown_pixels * scale**2
        try:
            self._step_times.check(checkpoint.file, width, height, call.rows, call.halves, shown)
        except StepTooLong as error:
            raise StepTooLong(said_by(error), picture.job.id) from None

    def _see_that_it_fits(self, picture: Picture, call: BackboneCall) -> None:
        while True:
            try:
                self._room.check(call, picture.job.id)
            except OutOfMemory:
                if not self._free_something():
                    raise
            else:
                return

    def _see_that_it_may_begin(self, picture: Picture, call: BackboneCall, checkpoint: Checkpoint) -> None:
        if self._step_times.seconds(checkpoint.file, call.cost) is None:
            self._probe(call, checkpoint, WARM_UP + 1)
        for look in range(_LOOKS):
            try:
                self.see_that_it_is_short(picture, call, checkpoint)
                return
            except StepTooLong:
                if look == _LOOKS - 1:
                    raise
            self._probe(call, checkpoint, 1)

    def _probe(self, call: BackboneCall, checkpoint: Checkpoint, times: int) -> None:
        """Time the checkpoint at its own size: a first call of a much larger one might take minutes."""
        side = checkpoint.family.native // checkpoint.family.downscale
        small = BackboneCall(
            latents=torch.zeros((1, call.latents.shape[1], side, side), device=call.latents.device),
            timestep=call.timestep,
            guidance=call.guidance.first,
            added={name: rows[:1] for name, rows in call.added.items()},
            extra=None if call.extra is None else torch.zeros_like(call.extra[..., :1, :1]).expand(
                -1, -1, side, side
            ),
            kind=None,
        )  # fmt: skip
        for _ in range(times):
            began = time.perf_counter()
            call_backbone(checkpoint, [small])
            if call.latents.device.type == "cuda":
                torch.cuda.synchronize()
            self.record(checkpoint, small, time.perf_counter() - began)
