"""A copy in the making: fed with what is loaded anyway, completed afterwards, and valid all at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import structlog

from easel.models.cache.checksums import BLOCK, block_checksums, block_count, block_length
from easel.models.cache.entry import COPY, LIST, PART, FileVersion, write_list
from easel.models.cache.reader import FileReader, read_into
from easel.models.disk import write_at
from easel.models.records import state_of

log = structlog.get_logger(__name__)


class FillingReader:
    """Reads the file, and writes what it read into the copy. So the network is asked once for both.

    Whatever is wrong with the copy is said once and ends the copy, never the load.
    """

    far = True
    checked = True

    def __init__(
        self, origin: FileReader, folder: Path, identity: FileVersion, part: int,
        later: Callable[[Callable[[], None]], None], alone: Callable[[], AbstractContextManager[None]],
    ) -> None:  # fmt: skip
        """`part` is the open, locked part file; `later` runs what is left to do in the background; nobody
        counts what the cache holds while one is `alone`."""
        self.name, self.size, self.far = origin.name, origin.size, origin.far
        self._origin, self._identity, self._later = origin, identity, later
        self._base, self._part, self._alone = folder / identity.key, part, alone
        self._lock = threading.Lock()
        self._checksums: dict[int, int] = {}
        self._broken = False

    def readv(self, buffers: Sequence[memoryview], place: int) -> None:
        """See Reader. Whole blocks only."""
        self._origin.readv(buffers, place)
        if self._broken:
            return
        try:
            self._write(buffers, place)
        except OSError as error:
            self._break(error)

    def close(self, *, whole: bool) -> None:
        """Complete the copy in the background, or drop it."""
        if self._part < 0:
            return
        if whole and not self._broken:
            self._later(self._complete)
        else:
            self._drop()
            self._origin.close(whole=whole)

    def _write(self, buffers: Sequence[memoryview], place: int) -> None:
        found = dict(block_checksums(buffers, place, self.size))
        for buffer in buffers:
            write_at(self._part, buffer, place)
            place += len(buffer)
        with self._lock:
            self._checksums.update(found)

    def _complete(self) -> None:
        """Fetch what the load did not need, and make the copy valid if the file is still the same."""
        try:
            memory = memoryview(bytearray(BLOCK))
            for index in range(block_count(self.size)):
                if index not in self._checksums:
                    self._fetch(index, memory[: block_length(index, self.size)])
            now = state_of(os.stat(self._origin.path))
            if now != (self._identity.size, self._identity.mtime_ns, self._identity.inode):
                raise OSError(0, "the file changed meanwhile")
            # Who reads a folder while a name in it changes may see neither: two copies once passed for one.
            with self._alone():
                os.rename(f"{self._base}{PART}", f"{self._base}{COPY}")
            values = [self._checksums[index] for index in range(block_count(self.size))]
            write_list(Path(f"{self._base}{LIST}"), self._identity, values)
            log.info("cache: copied", file=self.name, bytes=self.size)
        except OSError as error:
            with suppress(OSError):
                os.unlink(f"{self._base}{COPY}")
            self._break(error)
        finally:
            self._drop()
            self._origin.close(whole=True)

    def _fetch(self, index: int, memory: memoryview) -> None:
        if read_into(self._origin.handle, [memory], index * BLOCK) != len(memory):
            raise OSError(0, "the file changed meanwhile")
        self._write([memory], index * BLOCK)

    def _break(self, error: OSError) -> None:
        with self._lock:
            told, self._broken = self._broken, True
        if not told:
            log.warning(
                "cache: not copied, loading goes on without it",
                file=self.name, reason=error.strerror or str(error),
            )  # fmt: skip

    def _drop(self) -> None:
        """Take the part away, if it is still one, and unlock."""
        with self._lock:
            part, self._part = self._part, -1
        if part < 0:
            return
        with suppress(OSError):
            if os.stat(f"{self._base}{PART}").st_ino == os.fstat(part).st_ino:
                os.unlink(f"{self._base}{PART}")
        os.close(part)
