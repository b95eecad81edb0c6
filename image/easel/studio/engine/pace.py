"""How much of the device's time calls take here, as it was measured last: what time left is told by."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Iterator

from easel.models import ModelFile
from easel.studio.engine.requests.request import TextToImage

# Of a new measurement; neighbours come and go, and the first calls of a size pay for its preparations.
_WEIGHT = 0.1
# Of the power of pixels by which a call's time grows, between two sizes that were measured beside others.
_LEAST, _MOST = 0.3, 1.6


def calls_left(request: TextToImage, done: int = 0, left: int | None = None) -> Iterator[tuple[int, int]]:
    """For one picture of a request: pixels of each pass, and how many calls of the backbone are left."""
    passes = request.passes()
    for number, one in enumerate(passes):
        calls = max(0, one.calls - done)
        if left is not None and number == len(passes) - 1:
            calls = left
        done = max(0, done - one.calls)
        left = None if left is None else max(0, left - calls)
        yield one.width * one.height, calls


def units_left(request: TextToImage, done: int = 0, left: int | None = None) -> float:
    """What is left of one picture of a request in the units by which shares are fair: pixels of calls."""
    if request.enlargement is not None:
        return 0.0
    return float(sum(pixels * calls for pixels, calls in calls_left(request, done, left)))


class Pace:
    """Seconds of the device for a backbone call of one picture, by checkpoint and pixels, and for making
    pixels of its latents. Thread-safe.

    Company is in it: of a call for four pictures each has a quarter. Sizes that were not seen grow as the
    two nearest ones do: small calls take much the same whatever their size, large ones grow faster than
    their pixels, for attention. Another checkpoint takes after the last that drew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[tuple[ModelFile, bool], dict[int, tuple[int, float]]] = {}
        self._last: ModelFile | None = None
        self._decoding: dict[ModelFile, float] = {}
        self._since_last_picture = 0.0
        self._loading = 0.0

    def stepped(
        self, checkpoint: ModelFile, pixels: list[int], seconds: float, cached: Collection[int] = ()
    ) -> None:
        """A call of the backbone for pictures of so many pixels took `seconds` of the device; those of them
        with these numbers are drawn with a cache, and a mean of whole and shallow calls is kept of such."""
        each = seconds / sum(pixels)
        with self._lock:
            self._last = checkpoint
            for size, with_cache in {(size, number in cached) for number, size in enumerate(pixels)}:
                sizes = self._calls.setdefault((checkpoint, with_cache), {})
                number, before = sizes.get(size, (0, each))
                # The first call of a size warms up, and counts for nothing as soon as there is a second.
                mean = each if number < 2 else before + _WEIGHT * (each - before)
                sizes[size] = (number + 1, mean)

    def worked(self, seconds: float) -> None:
        """A stretch of encoding or decoding took `seconds`."""
        with self._lock:
            self._since_last_picture += seconds

    def made(self, checkpoint: ModelFile, pixels: int) -> None:
        """Pictures of so many pixels are there."""
        with self._lock:
            each, self._since_last_picture = self._since_last_picture / pixels, 0.0
            before = self._decoding.get(checkpoint, each)
            self._decoding[checkpoint] = before + _WEIGHT * (each - before)

    def loaded(self, file: ModelFile, seconds: float) -> None:
        """A checkpoint came into memory."""
        with self._lock:
            self._loading = seconds / max(1, file.size)

    def loading(self, file: ModelFile) -> float:
        """Seconds that a checkpoint takes to come into memory, by the last one that did."""
        with self._lock:
            return self._loading * file.size

    def picture(
        self, checkpoint: ModelFile | None, request: TextToImage, done: int = 0, left: int | None = None
    ) -> float | None:
        """Seconds for one picture of a request of which `done` backbone calls are made and `left` are not (as
        many as the request says, where nobody knows better); None where nothing was measured yet."""
        if request.enlargement is not None or checkpoint is None:
            return None
        with self._lock:
            seconds = 0.0
            for pixels, calls in calls_left(request, done, left):
                each = self._call(checkpoint, pixels, cached=request.cache_every > 1)
                if each is None:
                    return None
                seconds += calls * each
            last = request.passes()[-1]
            decoding = self._decoding.get(checkpoint, next(iter(self._decoding.values()), 0.0))
            return seconds + decoding * last.width * last.height

    def _call(self, checkpoint: ModelFile, pixels: int, *, cached: bool) -> float | None:
        known = [(file, way) for file in (checkpoint, self._last) for way in (cached, False) if file]
        sizes = next((self._calls[one] for one in known if one in self._calls), None)
        if not sizes:
            return None
        near = sorted(sizes, key=lambda size: abs(math.log(size / pixels)))[:2]
        first = sizes[near[0]][1] * near[0]
        if near[0] == pixels:
            return first
        grows = 1.0
        if len(near) == 2:
            second = sizes[near[1]][1] * near[1]
            grows = math.log(first / second) / math.log(near[0] / near[1]) if first and second else 1.0
        return first * float((pixels / near[0]) ** min(_MOST, max(_LEAST, grows)))
