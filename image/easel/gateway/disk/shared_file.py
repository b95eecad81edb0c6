"""What several gateways and the operator read, and replace as a whole: none over what another one wrote."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Protocol

import filelock

from easel.gateway.disk.private_file import write_private
from easel.gateway.disk.reserve import Reserve
from easel.gateway.errors import unreadable


class Document(Protocol):
    """A text with a revision for compare-and-swap: a file under a lock, or an object of a bucket. It
    blocks."""

    name: str
    """What an operator knows it by."""

    def read(self) -> tuple[bytes, str]:
        """The content, and the revision it is of; both empty if there is none. Raises GatewayError."""
        ...

    def swap(self, text: str, revision: str, *, must: bool = False) -> str:
        """Replace it if it is still at `revision`: the new one, or "" if it is another by now. `must`: on a
        full disk too. Raises GatewayError, OSError."""
        ...


class SharedFile:
    """A file of EASEL_HOME."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._lock = filelock.FileLock(path.with_name(path.name + ".lock"))
        # Not beside another's writing: what is filled with zeros may have become the file.
        with self._lock, contextlib.suppress(OSError):
            Reserve(path).keep()

    def read(self) -> tuple[bytes, str]:
        """The file's content and its hash. Raises GatewayError if it cannot be read."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return b"", ""
        except OSError as error:
            raise unreadable(self.name, error) from None
        return content, hashlib.sha256(content).hexdigest()

    def swap(self, text: str, revision: str, *, must: bool = False) -> str:
        """Replace the file as a whole if nobody else did since `revision`. Raises GatewayError, OSError."""
        with self._lock:
            if self.read()[1] != revision:
                return ""
            write_private(self._path, text, must=must)
            if not must:
                with contextlib.suppress(OSError):
                    Reserve(self._path).keep()
            return self.read()[1]

    def identity(self) -> object:
        """A cheap value that differs after any writer's change: a swap always makes a new inode."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
