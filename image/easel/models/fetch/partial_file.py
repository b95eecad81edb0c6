"""A file that is not whole yet, and the journal of which bytes of it are there.

Both lie hidden in the folder that the file will appear in, so that it appears by a rename. The journal claims
only what has been written through to the disk: the next one to go on may be another machine, which sees what
the file server has, not what the dead one still had in its memory.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from easel.models.disk import FULL, flush, flush_folder, free_bytes, write_at
from easel.models.fetch.partial_journal import (
    PartialJournal,
    discard_part,
    journal_of,
    part_of,
    read_journal,
    write_journal,
)
from easel.models.fetch.ranges import Ranges
from easel.models.quota import StoreQuota
from easel.models.source_errors import DiskFull, NotWritable

BLOCK = 1 << 20
"""Bytes that are hashed at once."""
_START = 1 << 16


class PartialFile:
    """The part of `target` that has arrived from the source with this `key`. Thread-safe.

    `size`, `etag` and `host` are None or "" until the source has said them.
    """

    def __init__(self, target: Path, key: str, quota: StoreQuota | None = None) -> None:
        self.target, self.key, self._quota = target, key, quota
        self.path = part_of(target)
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
            journal_of(self.target).unlink(missing_ok=True)
            os.ftruncate(self._file, 0)
            self.size, self.etag, self.host, self.done = None, "", "", Ranges()

    def write(self, offset: int, block: bytes) -> None:
        """Put bytes in their place. They count when `mark` is called. Raises DiskFull, NotWritable."""
        try:
            write_at(self._file, block, offset)
        except OSError as error:
            raise self._refusal(error) from error

    def mark(self, begin: int, end: int) -> None:
        """Say that these bytes are in."""
        with self.changed:
            before = self.done.prefix
            self.done.add(begin, end)
            after = self.done.prefix
            # Thousands of crumbs a second: nobody is woken for each, but for a block to hash, start and end.
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
            said = PartialJournal(self.key, self.size, self.etag, self.host, tuple(self.done))
        try:
            flush(self._file)
            write_journal(self.target, said)
        except OSError as error:
            raise self._refusal(error) from error

    def commit(self) -> None:
        """Let the file appear under its name, all of it on the disk. Raises DiskFull, NotWritable."""
        try:
            os.fsync(self._file)
            os.replace(self.path, self.target)
            flush_folder(self.target.parent)
        except OSError as error:
            raise self._refusal(error) from error
        discard_part(self.target)

    def discard(self) -> None:
        """Take away what has arrived."""
        discard_part(self.target)

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
        free = free_bytes(self.path)
        # Blocks that the part has already count as had.
        need = self.size - min(self.size, os.fstat(self._file).st_blocks * 512)
        if need > free:
            raise DiskFull(self.target.name, need, free, self.done.total)

    def _refusal(self, error: OSError) -> DiskFull | NotWritable:
        name = self.target.name
        if error.errno in FULL:
            need = None if self.size is None else self.size - self.done.total
            return DiskFull(name, need, free_bytes(self.target.parent), self.done.total)
        return NotWritable(
            name, f"cannot be written ({error.strerror}); check who may write to {self.target.parent.name}/"
        )
