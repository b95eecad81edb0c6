"""Pictures as one ZIP file, made while it is sent."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 1 << 18


class _Pipe:
    """What a ZIP file is written to: a stream that cannot be wound back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """What was written is still to be taken."""

    def taken(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def zipped(pictures: list[Path]) -> Iterator[bytes]:
    """The file piece by piece, each picture under `DAY/NAME`. What is gone by its turn is left out.

    Pictures are compressed already, so nothing is tried again: deflate's level 0. It is not STORED, which
    readers that cannot wind back refuse where sizes come behind the bytes (Java's ZipInputStream).
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        for path in pictures:
            try:
                file = path.open("rb")
            except OSError:
                continue
            with file, archive.open(_info(path, os.fstat(file.fileno())), "w") as entry:
                while block := file.read(_BLOCK):
                    entry.write(block)
                    yield pipe.taken()
    yield pipe.taken()


def _info(path: Path, status: os.stat_result) -> zipfile.ZipInfo:
    # no time before 1980 can be told in a ZIP file
    saved = max(time.localtime(status.st_mtime)[:6], (1980, 1, 1, 0, 0, 0))
    info = zipfile.ZipInfo(f"{path.parent.name}/{path.name}", saved)
    info.compress_type = zipfile.ZIP_DEFLATED
    # Python 3.13 calls it compress_level, and it is public.
    info._compresslevel = 0  # type: ignore[attr-defined]
    info.file_size, info.external_attr = status.st_size, 0o644 << 16
    return info
