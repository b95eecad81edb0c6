"""One day of one person: which pictures there are, and what each says, without opening each of them.

The folder is the truth. `.gallery/index.jsonl` in it spares opening the pictures: a JSON line for each, added
when it is saved or first met; the last line of a name counts. Replicas add to one file without a lock, over
NFS too: a line that another one's garbled is skipped, its picture is opened again, and a new line is added.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from easel.models import write_whole
from easel.studio.gallery.entry import PictureEntry, read_entry
from easel.studio.gallery.picture_id import PictureId
from easel.studio.outputs import BESIDE, PICTURE

log = structlog.get_logger(__name__)

_LINE = TypeAdapter(PictureEntry)
_YOUNG = 2.0
"""Seconds for which a folder is looked at again though its time is the same: clocks of disks are coarse."""
_SPARE = 200
"""Lines without a picture for which nobody writes the file anew."""


class DayIndex:
    """Not thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.day = folder.name
        self.ids: list[PictureId] = []
        """The newest first."""
        self._folder = folder
        self._file = folder / BESIDE / "index.jsonl"
        self._seen: int | None = None
        self._offset = 0
        self._lines = 0
        self._entries: dict[str, PictureEntry] = {}

    def refresh(self) -> None:
        """Look at the folder again if it changed. Raises OSError if it is gone."""
        changed = self._folder.stat().st_mtime_ns
        if changed == self._seen and changed / 1e9 < time.time() - _YOUNG:
            return
        with os.scandir(self._folder) as entries:
            # A link is none of ours: what it leads to may be anybody's.
            matches = [
                match for one in entries if (match := PICTURE.fullmatch(one.name)) and not one.is_symlink()
            ]
        found = sorted((PictureId(self.day, int(match[1]), match[0]) for match in matches), reverse=True)
        met, self._seen = self._seen is not None, changed
        if found == self.ids:
            return
        self.ids = found
        self._keep_those_there()
        if met:
            self._read_file()

    def entries(self, ids: Iterable[PictureId]) -> list[PictureEntry]:
        """What these say; those that are gone are left out."""
        wanted = [id.name for id in ids]
        if any(name not in self._entries for name in wanted):
            self._read_file()
            self._open([name for name in wanted if name not in self._entries])
        return [entry for name in wanted if (entry := self._entries.get(name))]

    def add(self, entry: PictureEntry) -> None:
        """A picture was saved here."""
        self._entries[entry.name] = entry

    def _open(self, names: list[str]) -> None:
        fresh = []
        for name in names:
            try:
                fresh.append(read_entry(self._folder / name))
            except OSError:  # gone since, or a link that leads nowhere
                continue
        self._entries |= {entry.name: entry for entry in fresh}
        if fresh:
            append(self._folder, fresh)

    def _read_file(self) -> None:
        """What was added since it was read last."""
        try:
            with self._file.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset = self._lines = 0
                file.seek(self._offset)
                text = file.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._lines += whole.count(b"{")
        self._entries |= {entry.name: entry for entry in _parsed(whole)}
        self._keep_those_there()
        if self._lines > 2 * len(self.ids) + _SPARE:
            self._write_anew()

    def _keep_those_there(self) -> None:
        """A name can come again, of another picture: what is known of one that is gone is forgotten."""
        names = {id.name for id in self.ids}
        self._entries = {name: entry for name, entry in self._entries.items() if name in names}

    def _write_anew(self) -> None:
        """Without what is gone. A line that another replica adds meanwhile is lost, and made again."""
        kept = list(self._entries.values())
        content = _lines(kept)
        try:
            write_whole(self._file, content)
        except OSError as error:
            log.warning("index not written", day=self.day, reason=error.strerror)
            return
        self._offset, self._lines = len(content), len(kept)


def append(folder: Path, entries: list[PictureEntry]) -> None:
    """Add lines to a day's file. Where that cannot be, pictures are opened again another time."""
    path = folder / BESIDE / "index.jsonl"
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("ab", buffering=0) as file:
            # a line of a process that died in the middle of it ends here
            file.write(b"\n" + _lines(entries))
    except OSError as error:
        log.warning("index not written", day=folder.name, reason=error.strerror)


def _lines(entries: Iterable[PictureEntry]) -> bytes:
    return b"".join(json.dumps(asdict(entry)).encode() + b"\n" for entry in entries)


def _parsed(text: bytes) -> Iterator[PictureEntry]:
    for line in text.splitlines():
        try:
            if line:
                yield _LINE.validate_json(line)
        except ValidationError:
            continue
