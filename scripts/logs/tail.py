"""Log files of this machine, as they grow."""

import os
from pathlib import Path
from typing import IO

_LONGEST = 10_000_000
"""Bytes of a file that are read from its beginning on."""


class LogTail:
    """What is added to the log files of a folder from now on, or from their beginning."""

    def __init__(self, folder: Path, only: str | None = None, *, from_start: bool = False) -> None:
        self._folder, self._only = folder, only
        self._files: dict[Path, IO[bytes]] = {}
        self._rests: dict[Path, bytes] = {}
        for path in self._paths():
            self._open(path, from_start)

    def lines(self) -> list[tuple[str, str]]:
        """New lines with the name of what wrote them."""
        found = []
        for path in self._paths():
            self._open(path, True)
        for path in self._files:
            *whole, self._rests[path] = (self._rests.get(path, b"") + self._added(path)).split(b"\n")
            lines = (line.decode(errors="replace").rstrip("\r") for line in whole)
            found += [(path.stem, line) for line in lines if line.strip()]
        return found

    def _added(self, path: Path) -> bytes:
        """What was added to a file since the last look, also if it was put aside or cut meanwhile."""
        added = self._files[path].read()
        try:
            now, before = path.stat(), os.fstat(self._files[path].fileno())
        except OSError:
            return added
        if now.st_ino != before.st_ino:
            self._files[path].close()
            self._files[path] = path.open("rb")
        elif now.st_size < self._files[path].tell():
            self._files[path].seek(0)
        else:
            return added
        return added + self._files[path].read()

    def _paths(self) -> list[Path]:
        paths = sorted(self._folder.glob("*.log"))
        only = self._only
        return [
            path for path in paths if only is None or path.stem == only or path.stem.startswith(f"{only}-")
        ]

    def _open(self, path: Path, from_start: bool) -> None:
        if path not in self._files:
            self._files[path] = path.open("rb")
            size = path.stat().st_size
            self._files[path].seek(max(0, size - _LONGEST) if from_start else size)
