"""What a picture may take of the device's memory beside the weights, told before it is accepted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easel.models import ModelFile, gigabytes
from easel.remark import remark
from easel.studio.engine.calls.step_times import largest
from easel.studio.engine.errors import OutOfMemory

if TYPE_CHECKING:
    from easel.studio.engine.loading.activations import Activations

# Sizes that are proposed, in pixels.
_GRID = 64


@dataclass(frozen=True)
class MemoryUse:
    """How a checkpoint lies in the device's memory. Bytes; `room` is the most that drawing could ever have
    beside it, `width` how many pictures of its own size one backbone call may draw, `vae_tile` the side of
    the VAE's tiles in pixels where memory asks for them."""

    checkpoint: str
    placement: str
    weights: int
    drawing: int
    room: int
    width: int
    vae_tile: int | None


@dataclass(frozen=True)
class Occupied:
    """A picture's needs by its size and rows: what a `Capacity` has to know of a checkpoint."""

    use: MemoryUse
    activations: Activations
    advice: Callable[[int], str]

    def need(self, width: int, height: int, rows: int, controls: int, shown: int = 0) -> int:
        """Bytes beside the weights that one picture takes at the least: a backbone call, and while another
        one's is made, its own way through the VAE by the smallest tiles. `shown` are pixels of pictures that
        it looks at: each takes what as many of its own would."""
        latent_pixels = (width * height + shown) // self.activations.downscale**2
        call = self.activations.of_call(latent_pixels, rows, controls)
        return call + self.activations.ways("decode", width, height)[-1][1]

    def check(
        self,
        width: int,
        height: int,
        rows: int,
        controls: int,
        room: int,
        job_id: str = "",
        shown: int = 0,
    ) -> None:
        """Raise OutOfMemory for a picture that takes more than `room` bytes."""
        taken = self.need(width, height, rows, controls, shown)
        if taken <= room:
            return
        w, h = largest(
            width,
            height,
            _GRID,
            lambda across, down: self.need(across, down, rows, controls, shown) <= room,
        )
        some = self.need(w, h, rows, controls, shown) <= room
        smaller = remark("no_smaller", "No smaller one fits either")
        if some:
            smaller = remark("draw_up_to", "Draw up to {size}", size=f"{w}x{h}")
        raise OutOfMemory(
            remark(
                "no_room",
                "a picture of {size} takes {taken} of memory beside the checkpoint, and "
                "there are {room} for it. {smaller}; {advice}",
                about="width",
                size=f"{width}x{height}",
                taken=gigabytes(taken),
                room=gigabytes(max(0, room)),
                smaller=smaller,
                advice=self.advice(taken),
            ),
            job_id,
        )


class Capacity:
    """The checkpoints that served, and what pictures may take beside them. Thread-safe.

    A checkpoint that has not served yet refuses nothing: the engine looks again before it begins.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[ModelFile, Occupied] = {}
        self._serving: Occupied | None = None

    def serve(self, file: ModelFile | None, occupied: Occupied | None) -> None:
        """This one serves now; None: none does."""
        with self._lock:
            self._serving = occupied
            if file is not None and occupied is not None:
                self._known[file] = occupied

    def check(
        self, file: ModelFile, width: int, height: int, rows: int, controls: int, shown: int = 0
    ) -> None:
        """Raise OutOfMemory for a picture that can never be drawn with this checkpoint on this device."""
        with self._lock:
            known = self._known.get(file)
        if known is not None:
            known.check(width, height, rows, controls, known.use.room, shown=shown)

    def now(self) -> MemoryUse | None:
        """How what serves lies in memory."""
        with self._lock:
            return self._serving.use if self._serving else None
