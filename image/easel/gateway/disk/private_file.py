"""Files that are whole or not there, and readable by their owner alone."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from easel.gateway.disk.reserve import FULL, Reserve


def write_private(path: Path, text: str, *, must: bool = False) -> None:
    """Put `text` at `path` as a whole or not at all, readable by its owner only. Raises OSError.

    `must`: on a full disk too, by the room that was kept for it (`Reserve`).
    """
    try:
        _replace(path, text)
    except OSError as error:
        if not must or error.errno not in FULL:
            raise
        try:
            Reserve(path).write(text.encode())
        except FileNotFoundError:
            raise error from None
    if must:
        with contextlib.suppress(OSError):
            Reserve(path).keep()


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
