"""One file of the cache: the copy, and the small file beside it that makes it valid."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from easel.models.cache.checksums import block_checksums, block_count
from easel.models.cache.reader import FileReader, read_into
from easel.models.disk import write_whole
from easel.models.records import state_of

log = structlog.get_logger(__name__)

COPY = ".copy"
PART = ".part"
LIST = ".json"
_LARGEST_LIST = 100_000_000


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One state of one file of the store: where it is, its size, time of change and inode."""

    path: str
    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> FileVersion:
        """The file as it is now."""
        return cls(os.path.realpath(path), *state_of(status))

    @property
    def place(self) -> str:
        """Begins the names of all copies of this path."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:24]

    @property
    def key(self) -> str:
        """The name of the copy, without ending."""
        text = f"{self.size} {self.mtime_ns} {self.inode}"
        return f"{self.place}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def read_list(path: Path, identity: FileVersion) -> list[int] | None:
    """The checksums of a copy, if it is one of this state of the file and the list is sound."""
    try:
        if path.stat().st_size > _LARGEST_LIST:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        said = (found["path"], found["size"], found["mtime_ns"], found["inode"])
        text = found["checksums"]
        if said != (os.fsdecode(identity.path), identity.size, identity.mtime_ns, identity.inode):
            return None
        if not re.fullmatch(r"[0-9a-f]*", text) or len(text) != 8 * block_count(identity.size):
            return None
        return [int(text[place : place + 8], 16) for place in range(0, len(text), 8)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write_list(path: Path, identity: FileVersion, checksums: Sequence[int]) -> None:
    """Make the copy beside `path` valid. Raises OSError."""
    said = {"path": os.fsdecode(identity.path), "size": identity.size, "mtime_ns": identity.mtime_ns,
            "inode": identity.inode, "checksums": "".join(f"{one:08x}" for one in checksums)}  # fmt: skip
    write_whole(path, json.dumps(said).encode("utf-8", "surrogateescape"))


class CopyReader:
    """Reads the copy, and the file itself wherever the copy is not what it was when it was made."""

    far = False
    checked = True

    def __init__(self, origin: FileReader, copy: Path, file: int, checksums: list[int]) -> None:
        """`file` is the open copy, locked against eviction; it is closed here."""
        self.name, self.size = origin.name, origin.size
        self._origin, self._copy, self._file = origin, copy, file
        self._checksums = checksums
        self.damaged = False

    def readv(self, buffers: Sequence[memoryview], place: int) -> None:
        """See Reader. Whole blocks only."""
        if not self.damaged:
            wanted = sum(len(one) for one in buffers)
            try:
                whole = read_into(self._file, buffers, place) == wanted
            except OSError as error:
                log.warning("cache: the disk fails", file=self.name, error=error.strerror)
                whole = False
            if whole and all(
                self._checksums[index] == value for index, value in block_checksums(buffers, place, self.size)
            ):
                return
            self._give_up()
        self._origin.readv(buffers, place)

    def close(self, *, whole: bool) -> None:
        """See Reader."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._origin.close(whole=whole)

    def _give_up(self) -> None:
        """From here on the file itself is read; the next load makes a new copy."""
        self.damaged = True
        log.warning("cache: the copy is damaged and is thrown away", file=self.name)
        for path in (self._copy.with_suffix(LIST), self._copy):
            with suppress(OSError):
                path.unlink()


def open_locked(path: Path, *, exclusive: bool = False, make: bool = False) -> int | None:
    """Open and lock, without waiting; None if it is not there or somebody has it."""
    flags = (os.O_RDWR if exclusive else os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        file = os.open(path, flags | (os.O_CREAT if make else 0), 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        # Between opening and locking it may have been taken away, and another put in its place.
        if os.stat(path).st_ino != os.fstat(file).st_ino:
            raise BlockingIOError
    except (BlockingIOError, FileNotFoundError):
        os.close(file)
        return None
    return file
