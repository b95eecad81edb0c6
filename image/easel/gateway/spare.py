"""Room on the disk for the next writing of a file that must not fail when the disk is full.

Beside such a file lies another, of the file's size and 16 KiB more, whose blocks are the disk's already. A
writing that finds no space goes into it, in place, and it takes the file's name; the blocks that the old
file gives back become the next one.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

_MORE = 16 * 1024
FULL = (errno.ENOSPC, errno.EDQUOT)


class Spare:
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
        try:
            if self._spare.stat().st_size >= wanted - _MORE // 2:
                return True
        except FileNotFoundError:
            pass  # made below
        try:
            with os.fdopen(os.open(self._spare, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                # Written and not only asked for: a hole takes no space until it is too late.
                file.write(bytes(wanted))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self._spare.unlink(missing_ok=True)
            return False
        return True

    def write(self, content: bytes) -> None:
        """Put `content` at the path with what was kept. Raises OSError where it is not enough."""
        descriptor = os.open(self._spare, os.O_WRONLY)
        try:
            if os.fstat(descriptor).st_size < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(self._spare, self._path)
