"""A file that is not whole yet, and the journal of which bytes of it are there.

Both lie hidden in the folder that the file will appear in, so that it appears by a rename. The journal claims
only what has been written through to the disk: the next one to go on may be another machine, which sees what
the file server has, not what the dead one still had in its memory.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from easel.models.fetch.ranges import Ranges
from easel.models.source_errors import DiskFull, NotWritable

if TYPE_CHECKING:
    from easel.models.quota import StoreQuota

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
BLOCK = 1 << 20
"""Bytes that are hashed at once."""
_START = 1 << 16


def part_of(target: Path) -> Path:
    """Where the bytes of `target` gather."""
    return target.with_name(f".{target.name}.part")


def journal_of(target: Path) -> Path:
    """Where it stands which of them are there."""
    return target.with_name(f".{target.name}.part.json")


def lock_of(target: Path) -> Path:
    """What says that somebody is at it."""
    return target.with_name(f".{target.name}.lock")


class PartialFile:
    """The part of `target` that has arrived from the source with this `key`. Thread-safe.

    `size`, `etag` and `host` are None or "" until the source has said them.
    """

    def __init__(self, target: Path, key: str, quota: StoreQuota | None = None) -> None:
        self.target, self.key, self._quota = target, key, quota
        self.path, self._journal = part_of(target), journal_of(target)
        self.size: int | None = None
        self.etag = self.host = ""
        self.done = Ranges()
        self.changed = threading.Condition()
        """Held while `done` and `size` are read or changed."""
        self._file = -1

    def open(self) -> None:
        """Open, with what an earlier process has left if it was of this source. Raises NotWritable."""
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except OSError as error:
            raise self._refusal(error) from error
        found = read_journal(self.target)
        if found is None or found.key != self.key:
            self.reset()
            return
        self.size, self.etag, self.host = found.size, found.etag, found.host
        self.done = Ranges(found.ranges)
        if self.done.end > os.fstat(self._file).st_size:
            self.reset()

    def reset(self) -> None:
        """Throw away what is there and begin anew."""
        with self.changed:
            self._journal.unlink(missing_ok=True)
            os.ftruncate(self._file, 0)
            self.size, self.etag, self.host, self.done = None, "", "", Ranges()

    def write(self, offset: int, block: bytes) -> None:
        """Put bytes in their place. They count when `mark` is called. Raises DiskFull, NotWritable."""
        view = memoryview(block)
        try:
            while view:
                written = os.pwrite(self._file, view, offset)
                view, offset = view[written:], offset + written
        except OSError as error:
            raise self._refusal(error) from error

    def mark(self, begin: int, end: int) -> None:
        """Say that these bytes are in."""
        with self.changed:
            before = self.done.prefix
            self.done.add(begin, end)
            after = self.done.prefix
            # Thousands of crumbs a second: nobody is woken for each, but for a block to hash, for the start
            # and for the end.
            if before < _START or before // BLOCK != after // BLOCK or self.done.total == self.size:
                self.changed.notify_all()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes that are in."""
        try:
            return os.pread(self._file, length, offset)
        except OSError as error:
            raise self._refusal(error) from error

    def save(self) -> None:
        """Write through what is in, then the journal that says so. Raises DiskFull, NotWritable."""
        with self.changed:
            said = {"key": self.key, "size": self.size, "etag": self.etag, "host": self.host,
                    "ranges": list(self.done)}  # fmt: skip
        try:
            _through(self._file)
            # Under a name of its own, not a random one: who is killed here leaves nothing that nobody knows.
            new = self._journal.with_suffix(".new")
            new.write_text(json.dumps(said))
            os.replace(new, self._journal)
        except OSError as error:
            raise self._refusal(error) from error

    def commit(self) -> None:
        """Let the file appear under its name, all of it on the disk. Raises DiskFull, NotWritable."""
        try:
            os.fsync(self._file)
            os.replace(self.path, self.target)
            folder = os.open(self.target.parent, os.O_RDONLY)
            try:
                with suppress(OSError):  # some network file systems know no sync of folders
                    os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._refusal(error) from error
        self._unlink_journal()

    def discard(self) -> None:
        """Take away what has arrived."""
        self._unlink_journal()
        self.path.unlink(missing_ok=True)

    def _unlink_journal(self) -> None:
        self._journal.unlink(missing_ok=True)
        self._journal.with_suffix(".new").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def check_room(self) -> None:
        """See whether it fits into the quota, and what is missing on the disk. Raises OverQuota, DiskFull."""
        if self.size is None:
            return
        if self._quota is not None:
            self._quota.check(self.target.name, self.size, besides=self.target)
        room = os.fstatvfs(self._file)
        free = room.f_bavail * room.f_frsize
        # Blocks that the part has already count as had.
        need = self.size - min(self.size, os.fstat(self._file).st_blocks * 512)
        if need > free:
            raise DiskFull(self.target.name, need, free, self.done.total)

    def _refusal(self, error: OSError) -> DiskFull | NotWritable:
        name = self.target.name
        if error.errno in _FULL:
            free = 0
            with suppress(OSError):
                room = os.statvfs(self.target.parent)
                free = room.f_bavail * room.f_frsize
            need = None if self.size is None else self.size - self.done.total
            return DiskFull(name, need, free, self.done.total)
        return NotWritable(
            name, f"cannot be written ({error.strerror}); check who may write to {self.target.parent.name}/"
        )


@dataclass(frozen=True, slots=True)
class PartialJournal:
    """What a journal says: of which source, and which bytes are there."""

    key: str
    size: int | None
    etag: str
    host: str
    ranges: tuple[tuple[int, int], ...]


def read_journal(target: Path) -> PartialJournal | None:
    """What the journal of `target` says; None if there is none that can be trusted."""
    try:
        found = json.loads(journal_of(target).read_text())
        ranges = tuple((int(begin), int(end)) for begin, end in found["ranges"])
        size = found["size"]
        if not (size is None or isinstance(size, int)) or any(not 0 <= a <= b for a, b in ranges):
            return None
        if size is not None and any(end > size for _, end in ranges):
            return None
        return PartialJournal(str(found["key"]), size, str(found["etag"]), str(found["host"]), ranges)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _through(file: int) -> None:
    getattr(os, "fdatasync", os.fsync)(file)
