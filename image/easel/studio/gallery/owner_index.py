"""All pictures of one person, page by page, the newest first."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from easel.studio.gallery.day_index import DayIndex, append
from easel.studio.gallery.entry import PictureEntry, entry_of
from easel.studio.gallery.picture_id import PictureId
from easel.studio.outputs import DAY


@dataclass(frozen=True, slots=True)
class Found:
    """`next` is what the next page begins after, None where there is none; `total` counts all pages."""

    pictures: list[tuple[PictureId, PictureEntry]]
    next: PictureId | None
    total: int


class OwnerIndex:
    """The pictures below `folder`. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._days: dict[str, DayIndex] = {}
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How many pictures are known."""
        return sum(len(day.ids) for day in list(self._days.values()))

    def page(
        self, before: PictureId | None, limit: int, words: list[str], only: Set[PictureId] | None
    ) -> Found:
        """At most `limit` pictures that are older than `before`, say all `words` and are among `only`."""
        with self._lock:
            self._refresh()
            if words:
                fitting = [id for id, entry in self._all(only) if entry.says(words)]
            else:
                fitting = [id for day in self._newest_first() for id in day.ids if only is None or id in only]
            rest = [id for id in fitting if id < before] if before else fitting
            shown = rest[:limit]
            last = shown[-1] if len(rest) > limit and shown else None
            return Found(list(self._described(shown)), last, len(fitting))

    def entries(self, ids: list[PictureId]) -> list[tuple[PictureId, PictureEntry]]:
        """Those of `ids` that are there, in their order."""
        with self._lock:
            self._refresh()
            known = {id for day in {id.day for id in ids} if day in self._days for id in self._days[day].ids}
            return list(self._described([id for id in ids if id in known]))

    def every(self) -> list[PictureEntry]:
        """What all say. The first time ever each picture is opened, as by a search."""
        with self._lock:
            self._refresh()
            return [entry for _, entry in self._all(None)]

    def known(self) -> set[PictureId]:
        """All that are there."""
        with self._lock:
            self._refresh()
            return {id for day in self._days.values() for id in day.ids}

    def add(self, entry: PictureEntry, day: str) -> None:
        """A picture was saved."""
        with self._lock:
            if day in self._days:
                self._days[day].add(entry)

    def _refresh(self) -> None:
        try:
            with os.scandir(self._folder) as entries:
                # A linked folder is none of ours: what lies in it may be anybody's.
                found = {
                    one.name
                    for one in entries
                    if DAY.fullmatch(one.name) and one.is_dir(follow_symlinks=False)
                }
        except FileNotFoundError:
            found = set()
        for name in self._days.keys() - found:
            del self._days[name]
        for name in found:
            day = self._days.setdefault(name, DayIndex(self._folder / name))
            try:
                day.refresh()
            except FileNotFoundError:
                del self._days[name]

    def _newest_first(self) -> list[DayIndex]:
        return [self._days[name] for name in sorted(self._days, reverse=True)]

    def _all(self, only: Set[PictureId] | None) -> Iterator[tuple[PictureId, PictureEntry]]:
        for day in self._newest_first():
            yield from self._of_day(day, [id for id in day.ids if only is None or id in only])

    def _described(self, ids: list[PictureId]) -> Iterator[tuple[PictureId, PictureEntry]]:
        by_day: dict[str, list[PictureId]] = {}
        for id in ids:
            by_day.setdefault(id.day, []).append(id)
        found = {
            id: entry for day, some in by_day.items() for id, entry in self._of_day(self._days[day], some)
        }
        yield from ((id, found[id]) for id in ids if id in found)

    def _of_day(self, day: DayIndex, ids: list[PictureId]) -> Iterator[tuple[PictureId, PictureEntry]]:
        by_name = {entry.name: entry for entry in day.entries(ids)}
        yield from ((id, by_name[id.name]) for id in ids if id.name in by_name)


def note_saved(path: Path, file: bytes) -> PictureEntry:
    """Add the line of a picture that was saved at this moment. Raises OSError if it is gone already."""
    entry = entry_of(path, file)
    append(path.parent, [entry])
    return entry
