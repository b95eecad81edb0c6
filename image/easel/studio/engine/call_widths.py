"""How many pictures go into the next backbone call: by what was measured and what memory has room for.

What is measured is kept (`kept_widths`), and what decided is told (`width_reason`).
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import NamedTuple

import structlog
import torch

from easel.remark import remark
from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.loading.room import Room
from easel.studio.engine.widths.batch_width import LONGEST, BatchWidth
from easel.studio.engine.widths.kept_widths import KeptWidths, device_name
from easel.studio.engine.widths.width_reason import Why, WidthReason

log = structlog.get_logger(__name__)

# What was measured goes to disk at rest, and this often while there is no rest.
KEEP_EVERY = 60.0


class Timed(NamedTuple):
    """A call that has begun, for `pictures` of a kind; `measuring` where its end has to be waited for."""

    kind: Hashable
    pictures: int
    began: float
    measuring: bool


class _Choice(NamedTuple):
    """Pictures that a width was chosen for: their kind and size in pixels; `by_room` where memory had the
    last word."""

    kind: Hashable
    width: int
    height: int
    by_room: WidthReason | None = None


class CallWidths:
    """For the calls of one device. Used from the engine's thread only.

    `folder` is where measurements outlive the process; None keeps none. `how` is what else they hold for,
    beside the device.
    """

    def __init__(self, device: torch.device, room: Room, folder: Path | None = None, how: str = "") -> None:
        self._device, self._room = device, room
        self._kept = KeptWidths(folder, device_name(device, how)) if folder is not None else None
        self._measured = BatchWidth(kept=self._kept.read() if self._kept is not None else None)
        self._kept_at = time.monotonic()
        self._last: _Choice | None = None

    def widest(self, kinds: Iterable[Hashable]) -> int:
        """The widest call that would pay for one of these kinds."""
        return max(self._measured.limit(kind) for kind in kinds)

    def bucket(self, call: BackboneCall, kind: Hashable, available: int) -> int:
        """How many of `available` pictures like this one go into one call."""
        self._last = _Choice(kind, *self._room.size(call))
        wide = self._measured.bucket(kind, available)
        fitting = self._room.width(call, wide)
        if fitting < wide:
            narrow = self._measured.bucket(kind, fitting)
            self._last = self._last._replace(by_room=WidthReason(narrow, Why.NO_ROOM, wide))
            return narrow
        return wide

    def begin(self, kind: Hashable, pictures: int, *, anew: bool) -> Timed:
        """A call begins. On a GPU its end is waited for only where that is to be learned: what was not
        measured yet, and (`anew`) a picture's first calls, which tell whether it may go on."""
        learning = not self._measured.measured(kind, pictures) or (anew and pictures == 1)
        return Timed(kind, pictures, time.perf_counter(), learning)

    def end(self, call: Timed) -> float | None:
        """It is over. Its seconds, where they were measured."""
        if self._device.type == "cuda":
            if not call.measuring:
                return None
            torch.cuda.synchronize()
        seconds = time.perf_counter() - call.began
        self._measured.record(call.kind, call.pictures, seconds)
        return seconds

    def too_much(self, call: BackboneCall, kind: Hashable, pictures: int) -> None:
        """The device had no room for so many in one call."""
        self._measured.out_of_memory(kind, pictures)
        self._room.too_much(call, pictures)
        log.warning("narrower", pictures=pictures, reason="out of memory")

    def now(self) -> tuple[int, str]:
        """How many pictures like those that were drawn last go into one call at the most, and why, in words;
        0 and "" where none were."""
        last = self._last
        if last is None:
            return 0, ""
        reason = last.by_room or self._measured.reason(last.kind)
        size = f"{last.width}x{last.height}"
        return reason.width, remark("width_of", "{size}, {why}", size=size, why=reason.said(LONGEST))

    def keep(self, *, at_rest: bool) -> None:
        """Write down what is new, `at_rest` or where the last time is long ago."""
        if self._kept is None or not (at_rest or time.monotonic() - self._kept_at > KEEP_EVERY):
            return
        self._kept_at = time.monotonic()
        if learned := self._measured.learned():
            self._kept.write(learned)
