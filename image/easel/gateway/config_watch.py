"""Whether the files of `EASEL_HOME/config` are still those that were read."""

from __future__ import annotations

import os
import time
from pathlib import Path

# Seconds for which two writes may have left the same times: clocks of file systems tick in milliseconds, on
# shares in seconds.
_TICK = 2.0


class ConfigWatch:
    """Asked each second: of a thousand files only those are opened that may be others than before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looks: dict[str, tuple[int, ...]] = {}
        self._contents: dict[str, bytes] = {}
        self.changed()

    def changed(self) -> bool:
        """Whether a file's name or content differs from when this was asked last."""
        looks: dict[str, tuple[int, ...]] = {}
        contents: dict[str, bytes] = {}
        settled = time.time_ns() - int(_TICK * 1e9)
        for name, found in self._files():
            # A change of content always shows in the last of these: nobody can set that time.
            look = found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
            if self._looks.get(name) == look and found.st_ctime_ns < settled:
                contents[name] = self._contents[name]
            else:
                try:
                    contents[name] = (self._folder / name).read_bytes()
                except FileNotFoundError:
                    continue
            looks[name] = look
        before, self._contents, self._looks = self._contents, contents, looks
        return contents != before

    def _files(self) -> list[tuple[str, os.stat_result]]:
        found = []
        try:
            entries = os.scandir(self._folder)
        except FileNotFoundError:
            return []
        with entries:
            for entry in entries:
                if entry.name.endswith(".json"):
                    try:
                        found.append((entry.name, entry.stat()))
                    except FileNotFoundError:
                        continue
        return found
