"""Which checkpoint serves: a device holds one, a switch costs seconds, and people share the device.

Time of the device is shared by people, whatever they draw with. When a picture could begin, it is looked
whose turn it is: theirs who have had least of the device, and of those who waited longest. If they wait for
another checkpoint, no more pictures begin on the one at hand; once those under way are through, the other
one serves.

A checkpoint serves for `STAY` times what the switch to it cost, but no more than `PATIENCE` seconds before
somebody else's turn, so that switching takes a tenth of the device where it costs two seconds, and a fifth
where it costs five. Who waits for another one gets it after `PATIENCE` seconds though they have had as much:
somebody's own pictures for it would else wait for all of theirs for this one.
"""

from __future__ import annotations

from collections.abc import Iterable

from easel.models import ModelFile
from easel.studio.engine.picture import Picture
from easel.studio.engine.picture_queue import PictureQueue
from easel.studio.engine.queue.accounts import Accounts

STAY = 9.0
PATIENCE = 20.0


class CheckpointTurns:
    """Times are seconds on the monotonic clock. Used from the engine's thread only."""

    def __init__(self) -> None:
        self._accounts = Accounts()
        self._stays_until = 0.0
        self._since = 0.0

    def switched(self, now: float, cost: float) -> None:
        """Another checkpoint serves from `now`; that took `cost` seconds."""
        self._since = now
        self._stays_until = now + min(PATIENCE, STAY * cost)

    def worked(self, owners: Iterable[str], seconds: float) -> None:
        """The device worked for pictures of these, one each."""
        shared = list(owners)
        for owner in shared:
            self._accounts.charge(owner, seconds / len(shared))

    def settle(self, waiting: PictureQueue, active: Iterable[Picture]) -> None:
        """These are there now."""
        self._accounts.settle(waiting.owners() | {picture.owner for picture in active})

    def next(self, waiting: PictureQueue, *, besides: ModelFile | None) -> ModelFile | None:
        """The checkpoint whose turn it is after the one `besides`; None where nobody waits for another."""
        first = self._first(picture for picture in waiting.foremost() if _other(picture, besides))
        return None if first is None else first.checkpoint

    def due(self, waiting: PictureQueue, serving: ModelFile, now: float) -> bool:
        """Whether another checkpoint's turn has come, so that no more pictures begin on this one."""
        if now < self._stays_until:
            return False
        foremost = waiting.foremost()
        other = self._first(picture for picture in foremost if _other(picture, serving))
        here = self._first(picture for picture in foremost if not _other(picture, serving))
        if other is None or here is None:
            return False
        theirs, ours = self._accounts[other.owner], self._accounts[here.owner]
        if theirs != ours:
            return theirs < ours
        waited = now - max(self._since, other.waiting_since)
        return other.waiting_since < here.waiting_since or waited > PATIENCE

    def _first(self, pictures: Iterable[Picture]) -> Picture | None:
        return min(pictures, key=lambda one: (self._accounts[one.owner], one.waiting_since), default=None)


def _other(picture: Picture, serving: ModelFile | None) -> bool:
    return picture.checkpoint not in (None, serving)
