"""One file from its source to its name in the store: whole and checked, or not at all.

Who comes second waits for who was first and sees its progress. Everything on the way lies hidden beside the
file's name, so that it appears by one rename on the same file system.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from easel.models.errors import CutShort, LyingHeader, NotSafetensors
from easel.models.fetch.follower import check_header
from easel.models.fetch.network import http_client
from easel.models.fetch.origin import Origin
from easel.models.fetch.partial_file import PartialFile
from easel.models.fetch.partial_journal import discard_part, lock_of, part_of, read_journal
from easel.models.fetch.progress import FetchControl, FetchProgress, Phase, Speed
from easel.models.fetch.ranges import Ranges
from easel.models.fetch.transfer import FetchLimits, Transfer
from easel.models.lock import Lock
from easel.models.quota import OverQuota, StoreQuota
from easel.models.source_errors import DiskFull, Interrupted, NotAModel, NotWritable, WrongHash
from easel.models.sources.offer import Offer, Source
from easel.models.sources.policy import FetchPolicy

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is whole. `fetched` is False if somebody else had brought it meanwhile."""

    path: Path
    size: int = 0
    sha256: str = ""
    autov3: str = ""
    etag: str = ""
    fetched: bool = True


@dataclass(frozen=True, slots=True)
class DownloadSource:
    """Where from: the source, what may be fetched for the asker, and what the source has said already."""

    source: Source
    policy: FetchPolicy
    offer: Offer | None = None


@dataclass(frozen=True, slots=True)
class DownloadTarget:
    """Where to. `sha256` is what the asker expects, "" for what the source says of itself.

    `is_there` tells whether the file has come by other hands; `keep` notes what came, while nobody else may
    come to the target yet.
    """

    path: Path
    sha256: str = ""
    quota: StoreQuota | None = None
    is_there: Callable[[], bool] = lambda: False
    keep: Callable[[Fetched], object] = lambda fetched: None


class Download:
    """One download. Who comes second to a target waits for the first, and goes on if that one dies."""

    def __init__(
        self, source: DownloadSource, target: DownloadTarget, limits: FetchLimits, control: FetchControl
    ) -> None:
        self._from, self._to, self._limits, self._control = source, target, limits, control
        self._target = target.path
        expiry = limits.lock_expiry
        self._lock = Lock(lock_of(target.path), expiry=expiry, beat=expiry / 6)
        self._speed = Speed()
        self._told = 0.0

    def run(self) -> Fetched:
        """Fetch. Raises SourceError, FileError; only Interrupted, Unreachable, DiskFull, OverQuota and
        refusals of the source leave something to go on from."""
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            # Not before it is ours: between its rename and its record a file is nobody's.
            while not self._lock.try_take():
                self._wait()
        except OSError as error:
            where = self._target.parent.name
            raise NotWritable(self._target.name, f"{where}/ cannot be written ({error.strerror})") from error
        try:
            if self._to.is_there():
                return Fetched(self._target, fetched=False)
            return self._fetch()
        finally:
            self._lock.release()

    def _wait(self) -> None:
        """Show the other's progress for a moment."""
        journal = read_journal(self._target)
        done = Ranges(journal.ranges).total if journal is not None else 0
        self._tell(Phase.WAITING, done, journal.size if journal is not None else None)
        if self._control.stopped():
            raise Interrupted(self._target.name, done, journal.size if journal is not None else None)
        time.sleep(0.25)

    def _fetch(self) -> Fetched:
        self._tell(Phase.ASKING, 0, None)
        part = PartialFile(self._target, self._from.source.key, self._to.quota)
        part.open()
        quota = self._to.quota or StoreQuota(self._target.parent, None)
        room = quota.room(self._target)
        try:
            with http_client(
                self._from.policy, connections=self._limits.connections, stall=self._limits.stall
            ) as http:
                origin = Origin(self._from.source, http, self._from.policy, self._from.offer)

                def stay_within() -> None:
                    if room is not None and part.done.total > room:
                        quota.check(self._target.name, part.done.total, besides=self._target)

                def tick() -> None:
                    self._tell(Phase.FETCHING, part.done.total, part.size, note=transfer.note)
                    stay_within()
                    if self._control.stopped() or self._lock.lost.is_set():
                        raise Interrupted(self._target.name, part.done.total, part.size)

                transfer = Transfer(origin, part, self._limits, tick, sha256=self._to.sha256.lower())
                found = transfer.run()
                stay_within()
                # Asked after the end: a file that changed on the way has another one.
                theirs = origin.offer.sha256
            self._tell(Phase.CHECKING, part.done.total, part.size, now=True)
            self._verify(part, found.sha256, theirs)
            part.commit()
            size = part.size or 0
            fetched = Fetched(self._target, size, found.sha256, found.autov3, part.etag)
            self._to.keep(fetched)
            self._tell(Phase.DONE, size, size, now=True)
            return fetched
        except OverQuota:
            if part.done.total > (room or 0):
                part.discard()  # its size was not known, and what came would be in everybody's way
            raise
        except DiskFull:
            if part.size is None:
                part.discard()  # nobody can go on from it, and it is all the room that there is
            raise
        except (NotAModel, NotSafetensors, CutShort, LyingHeader, WrongHash):
            # What is wrong with the bytes themselves is not mended by fetching the rest of them.
            part.discard()
            raise
        finally:
            if not part.done.total:
                part.discard()
            part.close()

    def _verify(self, part: PartialFile, found: str, theirs: str) -> None:
        """Raises WrongHash, NotAModel and what `read_header` raises."""
        name = self._target.name
        for wanted, whose in ((self._to.sha256.lower(), "the one who asks for it"), (theirs, "its source")):
            if wanted and found != wanted:
                raise WrongHash(name, found, wanted, whose)
        check_header(part, self._from.source.address, part.size or 0)

    def _tell(self, phase: Phase, done: int, total: int | None, *, now: bool = False, note: str = "") -> None:
        if not now and time.monotonic() - self._told < 0.2:
            return
        self._told = time.monotonic()
        speed = self._speed.at(done) if phase in (Phase.FETCHING, Phase.WAITING) else 0.0
        self._control.watcher(FetchProgress(self._target.name, phase, done, total, speed, note))


def discard_unfinished(target: Path) -> bool:
    """Take away what an earlier download of `target` left, unless somebody is at it. True if there was."""
    lock = Lock(lock_of(target))
    if not part_of(target).exists() or not lock.try_take():
        return False
    try:
        discard_part(target)
    finally:
        lock.release()
    return True
