"""What of the device's memory is free for the next call: how many pictures go into it, and by which tiles."""

from __future__ import annotations

import structlog

from easel.studio.engine.calls.device_calls import BackboneCall, VaeCall
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.loading.activations import activations
from easel.studio.engine.loading.capacity import Capacity, MemoryUse, Occupied
from easel.studio.engine.loading.placing import drawing_bytes
from easel.studio.engine.memory.device_memory import SLACK, DeviceMemory, shape_advice
from easel.studio.engine.memory.memory_plan import WeightBytes, WeightPlacement, need, plan
from easel.studio.engine.quantised.packed_modules import largest_expanding

log = structlog.get_logger(__name__)


class Room:
    """For the checkpoint that serves. Used from the engine's thread only."""

    def __init__(self, memory: DeviceMemory, capacity: Capacity) -> None:
        self._memory, self._capacity = memory, capacity
        self._now: Occupied | None = None
        self._failed: int | None = None

    def serve(self, checkpoint: Checkpoint | None) -> None:
        """From now on this one serves; its plan is made again, as another one may have been there before."""
        self._now, self._failed = None, None
        if checkpoint is not None:
            self._now = self._occupied(checkpoint)
            log.info("memory", **vars(self._now.use))
        self._capacity.serve(checkpoint.file if checkpoint else None, self._now)

    def check(self, call: BackboneCall, job_id: str) -> None:
        """Raise OutOfMemory for a picture that there is no room for now."""
        occupied = self._occupied_now
        width, height = self.size(call)
        free = self._memory.free() - call.kept_bytes
        shown = call.shown_pixels * occupied.activations.downscale**2
        occupied.check(width, height, call.rows, len(call.controls), free, job_id, shown)

    def size(self, call: BackboneCall) -> tuple[int, int]:
        """Width and height in pixels of what it draws."""
        scale = self._occupied_now.activations.downscale
        height, width = call.latents.shape[-2:]
        return width * scale, height * scale

    def width(self, call: BackboneCall, wanted: int) -> int:
        """How many pictures like this one, of `wanted`, one call has room for; one at the least."""
        if wanted == 1:
            return 1
        free = self._memory.free()
        if self._failed is not None:
            free = min(free, self._failed - 1)
        return max(1, min(wanted, free // self._bytes(call)))

    def too_much(self, call: BackboneCall, pictures: int) -> None:
        """A call of so many pictures found no room: none that takes as much is tried for more than one."""
        self._failed = min(self._bytes(call) * pictures, self._failed or 1 << 62)

    def vae_side(self, call: VaeCall, pictures: int) -> tuple[bool, int | None]:
        """Whether so many may go through the VAE together, and the side of the tiles that memory asks for, in
        pixels."""
        height, width = (
            side * (call.downscale if call.way == "decode" else 1) for side in call.given.shape[-2:]
        )
        ways = self._occupied_now.activations.ways(call.way, width, height)
        free = self._occupied_now.use.room if call.exact else self._memory.free()
        if ways[0][1] * pictures <= free:
            return True, None
        return False, next((side for side, taken in ways if taken <= free), ways[-1][0])

    @property
    def _occupied_now(self) -> Occupied:
        assert self._now is not None  # noqa: S101 - pictures are under way only on a checkpoint
        return self._now

    def _bytes(self, call: BackboneCall) -> int:
        # of a shallow call as of a whole one: what it takes less waits for the next whole one
        activations = self._occupied_now.activations
        taken = activations.of_call(call.latent_pixels + call.shown_pixels, call.rows, len(call.controls))
        return max(1, taken + call.kept_bytes)

    def _occupied(self, checkpoint: Checkpoint) -> Occupied:
        family, memory = checkpoint.family, self._memory
        placement = WeightPlacement.WHOLE if checkpoint.plan is None else checkpoint.plan.placement
        resident = int(checkpoint.nbytes * SLACK) if checkpoint.plan is None else checkpoint.plan.resident
        drawing = drawing_bytes(family, checkpoint.dtype, memory.device)
        counted = activations(family, checkpoint.dtype)
        ways = counted.ways("decode", family.native, family.native)
        # its weights are there by now
        expanding = largest_expanding(checkpoint.backbone, checkpoint.dtype, memory.device)
        there = WeightBytes(0, 0, 0, 0, expanding)
        fits = plan(there, drawing, memory.free(), apart=False)
        way, width = (fits.vae_way, fits.width) if fits is not None else (len(ways) - 1, 1)
        room = max(0, memory.capacity() - resident - drawing.fixed - expanding)
        use = MemoryUse(
            checkpoint=checkpoint.file.name,
            placement=placement.words,
            weights=resident,
            drawing=need(there, drawing, WeightPlacement.WHOLE, way, width),
            room=room,
            width=width,
            vae_tile=ways[way][0],
        )
        base = resident + drawing.fixed
        return Occupied(use, counted, lambda taken: shape_advice(base + taken, memory.device))
