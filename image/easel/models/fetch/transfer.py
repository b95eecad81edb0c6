"""Brings a file's bytes from its source into its part: several ranges at once, through all trouble."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import structlog

from easel.models.fetch.follower import Follower
from easel.models.fetch.origin import Changed, Origin, RangeResponse, Trouble
from easel.models.fetch.partial_file import PartialFile
from easel.models.fetch.ranges import next_piece
from easel.models.fetch.throttle import Throttle
from easel.models.hashes import Digests
from easel.models.quota import OverQuota
from easel.models.source_errors import DiskFull, Interrupted, KeepsChanging, NotWritable, Unreachable

log = structlog.get_logger(__name__)

# The first request when nobody has said how large the file is.
_FIRST = 1 << 20
_ATTEMPTS = 4
_SAVE_EVERY = 0.1
_BEAT = 0.1
_WORTH_SAYING = 2.0


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How much, how fast and how long. Times in seconds, speeds in bytes a second.

    `connections` at once; a server silent for `stall` is asked again, as is a connection that after `slow`
    seconds has less than an eighth of the others' speed; after `patience` failures in a row without a byte
    the download gives up; `bandwidth` 0 is no limit. Who has not touched its lock for `lock_expiry` is dead.
    """

    connections: int = 8
    bandwidth: float = 0.0
    stall: float = 20.0
    slow: float = 10.0
    patience: int = 8
    pause: float = 0.5
    lock_expiry: float = 60.0


@dataclass(eq=False, slots=True)
class _Piece:
    """Bytes that one connection fetches: `position` to `end` are still to come (None: to the end)."""

    begin: int
    end: int | None
    position: int
    since: float = field(default_factory=time.monotonic)
    response: httpx.Response | None = None


class _StartOver(Exception):
    """What is there is of no use: begin at the first byte."""


class Transfer:
    """One download. `tick` is called some times a second and may raise to end it."""

    def __init__(
        self,
        origin: Origin,
        part: PartialFile,
        limits: FetchLimits,
        tick: Callable[[], None],
        *,
        sha256: str = "",
    ) -> None:
        self._origin, self._part, self._limits, self._tick = origin, part, limits, tick
        self._sha256 = sha256
        self._throttle = Throttle(limits.bandwidth)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._pieces: list[_Piece] = []
        self._failures = 0
        self._single = False
        self.note = ""
        """What is waited for, for who watches: "the server answers 429; asked again in 60 s"."""

    def run(self) -> Digests:
        """Fetch what is missing. Raises SourceError, FileError."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._attempt()
            except _StartOver as why:
                log.info("download begins anew", file=self._part.target.name, why=str(why))
                self._part.reset()
                if attempt:
                    time.sleep(min(5.0, self._limits.pause * 2**attempt))
        if self._single:
            raise Unreachable(self._address, "the server sends whole files only and breaks off every time; "
                                             "try again later, or take another source")  # fmt: skip
        raise KeepsChanging(
            self._address, "the file at the source changes while it is fetched; try again later"
        )

    @property
    def _address(self) -> str:
        return self._origin.source.address

    def _attempt(self) -> Digests:
        self._stop.clear()
        self._error, self._pieces, self._failures = None, [], 0
        part = self._part
        if part.size is None and self._origin.offer.size:
            part.size = self._origin.offer.size
        part.check_room()
        offer = self._origin.offer
        # A source that names both hashes is held to the one; the other is then worth as much as our own.
        follower = Follower(part, self._address, rest=not (offer.sha256 and offer.autov3))
        jobs: list[Callable[[], None]] = [lambda: follower.follow(self._stop), self._keep_journal]
        jobs += [self._work] * self._limits.connections
        threads = [
            threading.Thread(target=self._guarded, args=(job,), name="download", daemon=True) for job in jobs
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads[:1] + threads[2:]:
                while thread.is_alive() and self._error is None:
                    thread.join(_BEAT)
                    self._tick()
                    self._drop_slow()
        except KeyboardInterrupt:
            raise Interrupted(part.target.name, part.done.total, part.size) from None
        finally:
            self._stop.set()
            with part.changed:
                part.changed.notify_all()
                for piece in self._pieces:
                    _cut(piece)
            for thread in threads:
                thread.join(timeout=self._limits.stall + 15)
            if not isinstance(self._error, _StartOver):
                with suppress(DiskFull, NotWritable):  # then as much counts as the last journal says
                    part.save()
        if self._error is not None:
            raise self._error
        return follower.digests

    def _guarded(self, job: Callable[[], None]) -> None:
        """Run one thread's job; its first error ends them all."""
        try:
            job()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, Changed):
            self._origin.renew()
            error = _StartOver("the file at the source has changed")
        with self._part.changed:
            if self._error is None and not self._stop.is_set():
                self._error = error
            self._stop.set()
            self._part.changed.notify_all()

    def _keep_journal(self) -> None:
        saved = -1
        pause = _SAVE_EVERY
        while not self._stop.wait(pause):
            with self._part.changed:
                total, size = self._part.done.total, self._part.size
            if total == saved:
                if total == size:
                    return
                continue
            began = time.monotonic()
            self._part.save()
            saved = total
            # A slow disk is not kept busy with this alone.
            pause = max(_SAVE_EVERY, time.monotonic() - began)

    def _work(self) -> None:
        while (piece := self._take()) is not None:
            try:
                self._fetch(piece)
            except Exception as error:
                # Before its bytes are to be had again: another would ask a source that has refused once more.
                self._fail(error)
                return
            finally:
                with self._part.changed:
                    self._pieces.remove(piece)
                    self._part.changed.notify_all()

    def _fetch(self, piece: _Piece) -> None:
        """Bring its bytes, or as many as come; after what may pass, wait. Raises SourceError, Changed."""
        try:
            with self._origin.open(piece.position, piece.end, self._part.etag) as answer:
                self._begin(piece, answer)
                self._read(piece, answer)
        except Trouble as trouble:
            self._back_off(piece, str(trouble), trouble.pause, trouble)
        except httpx.TransportError as error:
            self._back_off(piece, _words(error), None, None)

    def _take(self) -> _Piece | None:
        """The next bytes to fetch; waits while all that is missing is being fetched by others."""
        part = self._part
        with part.changed:
            while not self._stop.is_set():
                if part.size is not None and part.done.total >= part.size:
                    return None
                found: tuple[int, int | None] | None = None
                if part.size is None or self._single:
                    # One goes first and finds out how large it is, and whether the server knows ranges.
                    at = part.done.prefix
                    found = None if self._pieces else (at, at + _FIRST if part.size is None else None)
                else:
                    taken = [
                        (each.position, part.size if each.end is None else each.end) for each in self._pieces
                    ]
                    found = next_piece(part.done, taken, part.size, self._limits.connections)
                if found is not None:
                    piece = _Piece(found[0], found[1], found[0])
                    self._pieces.append(piece)
                    return piece
                part.changed.wait(0.5)
        return None

    def _begin(self, piece: _Piece, answer: RangeResponse) -> None:
        """See that the answer is of the same file; learn its size. Raises Changed, _StartOver, DiskFull."""
        part = self._part
        with part.changed:
            piece.response = answer.response
            # Two hosts that mirror one file name its versions each in its own way; the hash will tell.
            mirrored = bool(self._sha256) and answer.host != part.host
            if part.etag and answer.etag and part.etag != answer.etag and not mirrored:
                raise Changed()
            if part.size is not None and answer.total is not None and part.size != answer.total:
                raise Changed()
            if answer.whole:
                self._single = True
                if part.done.total or len(self._pieces) > 1:
                    raise _StartOver("the server sends the whole file instead of the rest")
                piece.begin = piece.position = 0
                piece.end = answer.total
            part.etag, part.host = answer.etag or part.etag, answer.host
            news = part.size is None and answer.total is not None
            part.size = part.size if answer.total is None else answer.total
            if not answer.whole:
                self._single = False
                if part.size is not None:
                    piece.end = min(part.size, piece.end or part.size)
            if news:
                # Before the others learn that there is something to fetch, and they must not learn it at all.
                try:
                    part.check_room()
                except (OverQuota, DiskFull) as error:
                    self._fail(error)
                    raise
            part.changed.notify_all()

    def _read(self, piece: _Piece, answer: RangeResponse) -> None:
        part = self._part
        for block in answer.response.iter_raw():
            if self._stop.is_set():
                return
            self._throttle.take(len(block))
            if piece.end is not None:
                block = block[: piece.end - piece.position]
            part.write(piece.position, block)
            with part.changed:
                # At once: between the two the bytes would count as missing, and be fetched by another.
                part.mark(piece.position, piece.position + len(block))
                piece.position += len(block)
                self._failures = 0
            if piece.position == piece.end:
                return  # whatever else the server sends was not asked for
        if piece.end is None:
            # Nobody said how long it is; the header does, and it is looked at in the end.
            with part.changed:
                part.size = piece.position
                part.changed.notify_all()
        elif piece.position < piece.end:
            raise Trouble("the server ends in the middle")

    def _back_off(self, piece: _Piece, words: str, pause: float | None, trouble: Trouble | None) -> None:
        """Something that may pass went wrong: wait, and give up after too many times. Raises SourceError.

        Exponential backoff with jitter: each wait is twice the one before and a part of it is chance, so that
        connections that failed together do not come back together.
        """
        if self._stop.is_set():
            return
        if self._single and piece.position > piece.begin:
            raise _StartOver(f"{words}, and it cannot go on in the middle")
        with self._part.changed:
            self._failures += 1
            failures = self._failures
        log.debug("range failed", file=self._part.target.name, why=words, failures=failures)
        # Connections fail together when the server goes away: count that once.
        if failures > self._limits.patience + self._limits.connections:
            if trouble is not None and trouble.refusal is not None:
                raise trouble.refusal
            kept = "; what has arrived is kept, the same command goes on from there"
            raise Unreachable(self._address, f"{words}, again and again{kept}")
        if trouble is not None and trouble.refusal is not None and (pause or 0) > 120:
            raise trouble.refusal  # nobody waits that long in front of a bar that stands still
        if piece.position == piece.begin or pause:
            backoff = self._limits.pause * 2 ** min(failures // 2, 6) * random.uniform(0.7, 1.3)  # noqa: S311
            wait = pause if pause is not None else min(30.0, backoff)
            if wait >= _WORTH_SAYING:
                self.note = f"{words}; asked again in {wait:.0f} s"
            self._stop.wait(wait)
            self.note = ""

    def _drop_slow(self) -> None:
        """Ask again where one connection is far slower than the rest: it goes by another way, or server."""
        with self._part.changed:
            now = time.monotonic()
            speeds = {
                piece: (piece.position - piece.begin) / (now - piece.since)
                for piece in self._pieces
                if now - piece.since > self._limits.slow and piece.end is not None and not self._single
            }
            ordered = sorted(speeds.values())
            for piece, speed in speeds.items():
                if len(ordered) > 1 and speed < ordered[len(ordered) // 2] / 8:
                    log.info("a slow connection is made anew", file=self._part.target.name, speed=int(speed))
                    _cut(piece)


def _cut(piece: _Piece) -> None:
    """End a connection that another thread reads from."""
    if piece.response is not None:
        stream = piece.response.extensions.get("network_stream")
        found = stream.get_extra_info("socket") if stream is not None else None
        if isinstance(found, socket.socket):
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)


def _words(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return f"no connection ({error})" if str(error) else "no connection"
    if isinstance(error, httpx.TimeoutException):
        return "the server went silent"
    return "the connection broke off"
