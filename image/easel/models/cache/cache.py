"""Copies of models on this machine's own disk, in front of network storage.

Each load of a 7 GB checkpoint from EFS costs 0.21 dollars and tens of seconds; from the node's NVMe it costs
nothing and is read at the disk's speed. A copy belongs to one state of one file (path, size, time of change,
inode); its blocks bear checksums that are compared at every read. Several processes may share a folder: who
reads a copy holds a shared lock on it, who makes or evicts one an exclusive one, so nothing that is being
loaded is ever taken away. The folder is the cache's own: nothing else may be kept in it, but for
the folder `compiled`, which it never looks into.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import structlog

from easel.models.cache.entry import COPY, LIST, PART, CopyReader, FileVersion, open_locked, read_list
from easel.models.cache.filling import FillingReader
from easel.models.cache.reader import FileReader, Reader
from easel.models.cache.size import DEFAULT, cache_size, room_on_disk
from easel.models.cache.storage import is_network
from easel.models.errors import ModelError
from easel.models.sizes import gigabytes

log = structlog.get_logger(__name__)


class Cache:
    """The cache in `folder`, of at most `limit` bytes. Thread-safe, and safe between processes."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Raises OSError where the folder cannot be made."""
        self.folder, self.limit = folder, limit
        folder.mkdir(parents=True, exist_ok=True)
        self._threads: list[threading.Thread] = []

    def reader(self, origin: FileReader) -> Reader:
        """A reader of the file that `origin` has open: of its copy, or one that makes the copy on the way.

        `origin` itself where neither can be. Never raises: a cache is a help, not a need.
        """
        try:
            identity = FileVersion.of(origin.path, origin.status)
            return self._copy(origin, identity) or self._filling(origin, identity) or origin
        except OSError as error:
            log.warning(
                "cache: not used, loading goes on without it",
                file=origin.name, reason=error.strerror or str(error), folder=str(self.folder),
            )  # fmt: skip
            return origin

    def settle(self, timeout: float | None = None) -> None:
        """Wait until copies that were begun here are complete, each at most `timeout` seconds."""
        for thread in list(self._threads):
            thread.join(timeout)

    def used(self) -> int:
        """Bytes of all copies, those in the making too."""
        return sum(size for _, size, _ in self._files())

    def _copy(self, origin: FileReader, identity: FileVersion) -> CopyReader | None:
        base = self.folder / identity.key
        checksums = read_list(base.with_suffix(LIST), identity)
        if checksums is None:
            return None
        file = open_locked(base.with_suffix(COPY))
        if file is None:
            return None
        if os.fstat(file).st_size != identity.size:
            log.warning("cache: the copy is cut and is thrown away", file=origin.name)
            os.close(file)
            self._forget(base)
            return None
        with suppress(OSError):
            os.utime(base.with_suffix(COPY))  # the last use, by which the oldest goes
        return CopyReader(origin, base.with_suffix(COPY), file, checksums)

    def _filling(self, origin: FileReader, identity: FileVersion) -> FillingReader | None:
        if identity.size > self.limit:
            log.info(
                "cache: too small for this file", file=origin.name,
                size=gigabytes(identity.size), limit=gigabytes(self.limit),
            )  # fmt: skip
            return None
        base = self.folder / identity.key
        with self._alone():
            part = open_locked(base.with_suffix(PART), exclusive=True, make=True)
            if part is None:
                return None  # another process is making it
            try:
                os.ftruncate(part, 0)
                self._make_room(identity)
                # Now, so that a disk without room says so before a byte of it is used.
                os.posix_fallocate(part, 0, identity.size)
            except OSError:
                with suppress(OSError):
                    base.with_suffix(PART).unlink()
                os.close(part)
                raise
        return FillingReader(origin, self.folder, identity, part, self._later, self._alone)

    def _make_room(self, identity: FileVersion) -> None:
        """Take copies away, of the same path first, then those unused for longest. Raises OSError."""
        found = sorted(self._files())
        for _, _, path in found:
            other = path.name.startswith(f"{identity.place}-") and path.stem != identity.key
            if other or path.suffix == PART:
                self._take_away(path)  # a copy of what is not there any more, or left by a killed process
        for _, _, path in sorted(self._files()):
            over = self.used() + identity.size > self.limit
            if not over and room_on_disk(self.folder) >= identity.size:
                return
            if path.stem != identity.key or path.suffix == COPY:
                self._take_away(path)
        if self.used() + identity.size > self.limit:
            raise OSError(0, f"all of its {gigabytes(self.limit)} are being used")
        if room_on_disk(self.folder) < identity.size:
            raise OSError(0, f"there is no room for {gigabytes(identity.size)} more on its disk")

    def _take_away(self, path: Path) -> None:
        """Remove a copy or part that nobody uses."""
        file = open_locked(path, exclusive=True)
        if file is None:
            return
        try:
            self._forget(path) if path.suffix == COPY else path.unlink(missing_ok=True)
            log.info("cache: taken away", copy=path.name)
        finally:
            os.close(file)

    def _forget(self, base: Path) -> None:
        for ending in (LIST, COPY):
            with suppress(OSError):
                base.with_suffix(ending).unlink()

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Time of the last use, bytes on the disk, and path of every copy and part."""
        for path in self.folder.iterdir():
            if path.suffix in (COPY, PART):
                with suppress(OSError):
                    status = path.lstat()
                    yield status.st_mtime, max(status.st_size, status.st_blocks * 512), path

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time counts, evicts and reserves."""
        file = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _later(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="cache-copy", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()


def open_model(path: Path, cache: Cache | None = None) -> Reader:
    """Open the file at `path`; one on network storage by way of `cache`. Raises MissingFile."""
    origin = FileReader(path)
    return cache.reader(origin) if cache is not None and origin.far else origin


def cache_from_environment() -> Cache | None:
    """The cache that EASEL_CACHE and EASEL_CACHE_SIZE name; None where there is none."""
    return _cache_at(os.environ.get("EASEL_CACHE", ""), os.environ.get("EASEL_CACHE_SIZE", DEFAULT))


@lru_cache(maxsize=4)
def _cache_at(folder: str, size: str) -> Cache | None:
    if not folder:
        return None
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if is_network(path):
            log.warning("cache: not used, EASEL_CACHE is on network storage itself", folder=folder)
            return None
        limit = cache_size(size, path)
        return Cache(path, limit) if limit else None
    except (OSError, ModelError) as error:
        log.warning("cache: not used", folder=folder, reason=str(error))
        return None
