"""What is asked of a disk: small files whole or not at all, bytes in their place, bytes that last."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors that say that there is no room."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file so that nobody ever sees a part of it. Makes its folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.replace(file.name, path)
        except OSError:
            with suppress(OSError):
                os.unlink(file.name)
            raise


def write_at(file: int, block: bytes | memoryview, offset: int) -> None:
    """Put all of `block` in its place. Raises OSError."""
    view = memoryview(block)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def flush(file: int) -> None:
    """Write the bytes of an open file through to the disk. Raises OSError."""
    getattr(os, "fdatasync", os.fsync)(file)


def flush_folder(folder: Path) -> None:
    """Write the names in a folder through to the disk, so that a rename is kept. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems know no sync of folders
            os.fsync(handle)
    finally:
        os.close(handle)


def free_bytes(folder: Path) -> int:
    """Bytes that are free on the disk of `folder`; 0 where that cannot be told."""
    with suppress(OSError):
        room = os.statvfs(folder)
        return room.f_bavail * room.f_frsize
    return 0
