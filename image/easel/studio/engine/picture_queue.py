"""The queue: pictures that have not begun, by checkpoint and owner. Which checkpoint serves is
`checkpoint_turns`' business."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from easel.models import ModelFile
from easel.studio.engine.picture import Picture
from easel.studio.engine.queue.job import Job


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
        for picture in self._firsts():
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
        return any(picture.checkpoint in (None, checkpoint) for picture in self._firsts())

    def owners(self) -> set[str]:
        """Whose pictures wait."""
        return {picture.owner for picture in self._pictures}

    def foremost(self) -> list[Picture]:
        """Of each owner the first picture that waits for each checkpoint."""
        found: dict[tuple[str, ModelFile | None], Picture] = {}
        for picture in self._firsts():
            found.setdefault((picture.owner, picture.checkpoint), picture)
        return list(found.values())

    def _firsts(self) -> Iterator[Picture]:
        """Of each job the first picture for each checkpoint: the others are like it, and may be hundreds."""
        seen: set[tuple[int, ModelFile | None]] = set()
        for picture in self._pictures:
            # what was under way may go on with another one than the job begins with
            key = id(picture.job), None if picture.call is None else picture.checkpoint
            if key not in seen:
                seen.add(key)
                yield picture
