"""A folder as if a file server had it: `python -m bench.slow_mount FOLDER POINT LATENCY RATE`.

Mounted by FUSE at POINT until standard input ends, read-only. Each request of the kernel waits LATENCY
seconds and is then answered at RATE bytes a second; requests beside each other do not slow each other down.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mfusepy import FUSE, Operations

_PLAIN = ("st_mode", "st_size", "st_nlink", "st_uid", "st_gid")
_TIMES = ("st_mtime", "st_atime", "st_ctime")


class SlowFolder(Operations):  # type: ignore[misc]
    """`folder`, far away."""

    use_ns = True

    def __init__(self, folder: Path, latency: float, rate: float) -> None:
        self._folder, self._latency, self._rate = folder, latency, rate

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """What stat tells."""
        found = os.lstat(self._at(path))
        times = {name: getattr(found, f"{name}_ns") for name in _TIMES}
        return {name: getattr(found, name) for name in _PLAIN} | times

    def readdir(self, path: str, fh: int) -> list[str]:
        """Names."""
        return [".", "..", *os.listdir(self._at(path))]

    def open(self, path: str, flags: int) -> int:
        """A file to read; the kernel forgets what it had of it."""
        return os.open(self._at(path), os.O_RDONLY)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Bytes, after a while."""
        found = os.pread(fh, size, offset)
        time.sleep(self._latency + len(found) / self._rate)
        return found

    def release(self, path: str, fh: int) -> int:
        """Close a file."""
        os.close(fh)
        return 0

    def _at(self, path: str) -> Path:
        return self._folder / path.lstrip("/")


def main() -> None:
    """Serve until standard input ends."""
    folder, point, latency, rate = sys.argv[1:]

    def end() -> None:
        sys.stdin.read()
        subprocess.run(["fusermount3", "-u", "-z", point], check=False)

    threading.Thread(target=end, daemon=True).start()
    far = SlowFolder(Path(folder), float(latency), float(rate))
    FUSE(far, point, foreground=True, nothreads=False, ro=True)


if __name__ == "__main__":
    main()
