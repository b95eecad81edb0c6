"""Room on the disk for the next writing of a file that must not fail when the disk is full.

Beside such a file lies another, of the file's size and 16 KiB more, whose blocks are the disk's already. A
writing that finds no space goes into it, in place, and the two change names: no block is given back that
others could take before the next writing.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

_MORE = 16 * 1024
_BLOCK = 4096
FULL = (errno.ENOSPC, errno.EDQUOT)


class Reserve:
    """The room for one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._spare = path.with_name(f".{path.name}.spare")

    def keep(self) -> bool:
        """Have the room, if there is space for it; whether it is there."""
        try:
            wanted = self._path.stat().st_size + _MORE
        except FileNotFoundError:
            wanted = _MORE
        with contextlib.suppress(FileNotFoundError):
            if self._spare.stat().st_size >= wanted - _MORE // 2:
                return True
        descriptor = os.open(self._spare, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # Written and not only asked for: a hole takes no space until it is too late.
            for begin in range(0, wanted, _BLOCK):
                os.pwrite(descriptor, bytes(min(_BLOCK, wanted - begin)), begin)
            os.fsync(descriptor)
        except OSError:
            return False  # what was got is kept
        finally:
            os.close(descriptor)
        return True

    def write(self, content: bytes) -> None:
        """Put `content`, a text that bears blanks at its end, at the path with what was kept. Raises OSError
        where it is not enough."""
        descriptor = os.open(self._spare, os.O_WRONLY)
        try:
            found = os.fstat(descriptor)
            if max(found.st_size, found.st_blocks * 512) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            whole = content.ljust(found.st_size)
            if os.pwrite(descriptor, whole, 0) != len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        old = self._spare.with_name(self._spare.name + ".old")
        old.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.link(self._path, old)
        os.replace(self._spare, self._path)
        with contextlib.suppress(FileNotFoundError):
            os.replace(old, self._spare)
