"""The queue: pictures that have not begun, by checkpoint and owner.

One device holds one checkpoint, and a switch costs seconds, so pictures for the checkpoint at hand go first —
but nobody waits for ever: past `PATIENCE` the door closes for new pictures of the one at hand, and the
other's turn comes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from easel.models import ModelFile
from easel.studio.engine.job import Job
from easel.studio.engine.picture import Picture

PATIENCE = 20.0


class PictureQueue:
    """Pictures in the order they came. Not locked: only the engine's thread touches it."""

    def __init__(self) -> None:
        self._pictures: list[Picture] = []

    def __bool__(self) -> bool:
        return bool(self._pictures)

    def add(self, pictures: Iterable[Picture]) -> None:
        """Put a job's pictures at the end."""
        self._pictures.extend(pictures)

    def add_first(self, pictures: Iterable[Picture]) -> None:
        """Put pictures that were under way before all others of their checkpoint."""
        self._pictures[:0] = pictures

    def remove(self, job: Job) -> None:
        """Take out all pictures of a job."""
        self._pictures = [picture for picture in self._pictures if picture.job is not job]

    def jobs(self, checkpoint: ModelFile | None = None) -> list[Job]:
        """Jobs that have pictures here, in order; of one checkpoint, or of all."""
        return list(
            dict.fromkeys(
                picture.job for picture in self._pictures if checkpoint in (None, picture.checkpoint)
            )
        )

    def next_of(self, job: Job) -> Picture | None:
        """Take a job's next picture, or None."""
        found = next((picture for picture in self._pictures if picture.job is job), None)
        if found is not None:
            self._pictures.remove(found)
        return found

    def next(self, checkpoint: ModelFile | None, drawing: Counter[str], *, room: bool) -> Picture | None:
        """Take the picture to begin now, or None. Without a checkpoint: of those that need none.

        Who has nothing under way goes first and always gets in; further pictures of the same owner only where
        there is `room`. `drawing` counts the pictures under way by owner.
        """
        best: Picture | None = None
        for picture in self._pictures:
            if picture.checkpoint not in (None, checkpoint) or (drawing[picture.owner] and not room):
                continue
            if best is None or drawing[picture.owner] < drawing[best.owner]:
                best = picture
            if not drawing[best.owner]:
                break
        if best is not None:
            self._pictures.remove(best)
        return best

    def wants(self, checkpoint: ModelFile) -> bool:
        """Whether any picture here can be made while this checkpoint serves."""
        return any(picture.checkpoint in (None, checkpoint) for picture in self._pictures)

    def longest(self, *, besides: ModelFile | None) -> ModelFile | None:
        """The checkpoint whose picture has waited longest, other than `besides`."""
        return next((p.checkpoint for p in self._pictures if p.checkpoint not in (None, besides)), None)

    def impatient(self, checkpoint: ModelFile, since: float) -> bool:
        """Whether somebody has waited too long for another checkpoint than this, which serves since `since`.

        Counted from the switch at the earliest: two impatient crowds would otherwise switch for ever and draw
        nothing.
        """
        others = (p.waiting_since for p in self._pictures if p.checkpoint not in (None, checkpoint))
        now = time.monotonic()
        return now - max(since, min(others, default=now)) > PATIENCE
