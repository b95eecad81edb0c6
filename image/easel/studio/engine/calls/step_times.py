"""How long a step takes on this device: measured while drawing, told before a picture is accepted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from easel.models import ModelFile
from easel.remark import figure, remark
from easel.studio.engine.errors import StepTooLong

# The first call of a size pays for kernel selection and allocation.
WARM_UP = 1
# What was measured beside a noisy neighbour, and keeps a size from being drawn, is measured again.
REMEMBERED = 600.0
# Sizes that are proposed, in pixels.
_GRID = 64


@dataclass
class _Measured:
    """What is known of one checkpoint: seconds of a call by latent pixels with the time when they were
    measured, and how many were."""

    native: int
    downscale: int
    seconds: dict[int, tuple[float, float]] = field(default_factory=dict)
    calls: dict[int, int] = field(default_factory=dict)


class StepTimes:
    """Seconds of backbone calls for a single picture, by checkpoint. Thread-safe.

    `limit` is how many seconds one call may take. The checkpoint's own size is drawn in any case: a device
    that is slow at it was chosen by the operator, and there is no smaller size to be sent to.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._known: dict[ModelFile, _Measured] = {}

    def record(self, file: ModelFile, native: int, downscale: int, cost: int, seconds: float) -> None:
        """One call for one picture of `cost` latent pixels (rows counted) took `seconds`. `native` is the
        family's own side in pixels.

        Below that side nothing is learned of larger ones: what a call takes whatever its size counts most
        there. By one of 64 pixels, 0.16 s on a busy machine, 512 would take 10 s, which took 1.5.
        """
        if cost < (native // downscale) ** 2:
            return
        with self._lock:
            known = self._known.setdefault(file, _Measured(native, downscale))
            calls = known.calls[cost] = known.calls.get(cost, 0) + 1
            if calls > WARM_UP:
                now = time.monotonic()
                best, at = known.seconds.get(cost, (seconds, now))
                if seconds <= best or now - at > REMEMBERED:
                    known.seconds[cost] = (seconds, now)

    def seconds(self, file: ModelFile, cost: int) -> float | None:
        """What a call of `cost` latent pixels takes at the least; None while nothing was measured.

        Between measured sizes and beyond them it is taken to grow with the pixels. A UNet's attention grows
        faster, so this refuses nothing that would have been quick enough.
        """
        with self._lock:
            known = self._known.get(file)
            now = time.monotonic()
            timed = known.seconds.items() if known else ()
            fresh = {size: took for size, (took, at) in timed if now - at <= REMEMBERED}
        if not fresh:
            return None
        below = [size for size in fresh if size <= cost]
        nearest = max(below) if below else min(fresh)
        return fresh[nearest] * cost / nearest

    def check(
        self, file: ModelFile, width: int, height: int, rows: int, controls: int = 0, shown: int = 0
    ) -> None:
        """Raise StepTooLong for a picture whose single step, with so many control models and `shown` pixels
        that it looks at, would keep the device for too long.

        A checkpoint of which nothing was measured yet passes: the engine measures before it begins.
        """
        with self._lock:
            known = self._known.get(file)
        if known is None or width * height <= known.native**2:
            return

        def takes(across: int, down: int) -> float:
            latent_pixels = (across // known.downscale) * (down // known.downscale)
            latent_pixels += shown // known.downscale**2
            cost = latent_pixels * rows * (2 + controls) // 2  # as `BackboneCall.cost` counts
            return self.seconds(file, cost) or 0.0

        needed = takes(width, height)
        if needed <= self.limit:
            return
        most = largest(width, height, known.native, lambda w, h: takes(w, h) <= self.limit)
        raise StepTooLong(
            remark(
                "step_too_long",
                "one step of a picture of {size} takes {needed} s or more on this "
                "device, and one step may take {limit} s, as everybody else waits for it. Draw up to "
                "{most}, or give the endpoint a shape with a faster GPU; the operator sets the "
                "limit by EASEL_STEP_SECONDS",
                about="width",
                size=f"{width}x{height}",
                needed=figure(needed, ".1f"),
                limit=figure(self.limit, "g"),
                most=f"{most[0]}x{most[1]}",
            )
        )


def largest(width: int, height: int, native: int, fits: Callable[[int, int], bool]) -> tuple[int, int]:
    """The largest size of about the same shape, on a grid of 64 pixels, that `fits`; `native` squared where
    none larger than that does."""
    for side in range(max(width, height) // _GRID * _GRID, 0, -_GRID):
        scale = side / max(width, height)
        w, h = (max(_GRID, int(each * scale) // _GRID * _GRID) for each in (width, height))
        if w * h <= native**2:
            break
        if fits(w, h):
            return w, h
    return native, native
