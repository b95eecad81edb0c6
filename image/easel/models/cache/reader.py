"""Reading stretches of a model file into memory that is there already, from many threads at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from easel.models.cache.storage import is_network
from easel.models.errors import CutShort, MissingFile
from easel.models.former_names import path_now
from easel.models.sizes import part_of_whole

# One call of the kernel takes at most 1024 buffers (IOV_MAX) and moves at most 2 GiB.
_MOST_BUFFERS = 1000
# What the kernel says when the other end of a mount is gone.
_VANISHED = frozenset(
    {
        errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH,
        errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.ENODEV, errno.EREMOTEIO,
    }
)  # fmt: skip


class Reader(Protocol):
    """An open file. `far` if many reads at once pay; `checked` if reads must be whole blocks (see cache.py).

    `readv` may be called from any thread.
    """

    name: str
    size: int
    far: bool
    checked: bool

    def readv(self, buffers: Sequence[memoryview], place: int) -> None:
        """Fill `buffers`, one after the other, from `place` on. Raises CutShort, MissingFile."""

    def close(self, *, whole: bool) -> None:
        """Done. `whole`: everything that was wanted has been read, without an error."""


class FileReader:
    """A file, read as it is."""

    checked = False

    def __init__(self, path: Path, *, far: bool | None = None) -> None:
        """Open. `far` None: as the kernel's list of mounts tells. Raises MissingFile."""
        self.path, self.name = path_now(path), path.name
        self.far = is_network(path) if far is None else far
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            self.status = os.fstat(self._file)
        except OSError as error:
            raise unreadable(self.name, error) from error
        self.size = self.status.st_size

    @property
    def handle(self) -> int:
        """The open file's number."""
        return self._file

    def readv(self, buffers: Sequence[memoryview], place: int) -> None:
        """See Reader."""
        try:
            done = read_into(self._file, buffers, place)
        except OSError as error:
            raise unreadable(self.name, error, place, self.size) from error
        if done < sum(len(one) for one in buffers):
            raise CutShort(self.name, place + done, self.size)

    def close(self, *, whole: bool) -> None:
        """See Reader."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_into(file: int, buffers: Sequence[memoryview], place: int) -> int:
    """Fill `buffers` from `place` on; the bytes that were there, fewer than wanted at the file's end."""
    left = [one for one in buffers if len(one)]
    done = 0
    while left:
        got = os.preadv(file, left[:_MOST_BUFFERS], place + done)
        if got == 0:
            break
        done += got
        while left and got >= len(left[0]):
            got -= len(left.pop(0))
        if got:
            left[0] = left[0][got:]
    return done


def unreadable(name: str, error: OSError, place: int | None = None, size: int = 0) -> MissingFile:
    """The error of a read or an opening, in words and with what to do."""
    words = error.strerror or str(error)
    if error.errno in _VANISHED:
        where = f" after {part_of_whole(place, size)}" if place else ""
        return MissingFile(
            name,
            f"the storage it lies on went away{where} ({words}); what is loaded goes on serving. Look "
            "whether the file system is mounted and its server answers, then ask for it again",
        )
    if place is None:
        return MissingFile(name, f"cannot be read ({words})")
    return MissingFile(name, f"reading it failed ({words}); try again")
