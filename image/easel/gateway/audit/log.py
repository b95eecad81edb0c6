"""The audit log: who was let in or refused, and what was changed, by whom, from where.

One JSON object a line in `logs/audit.jsonl`: `at` (UTC), `kind`, `actor`, `endpoint`, `address` and what the
kind adds (docs/reference/audit.md). Never a secret: actors are names, and all else is scrubbed.
"""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote_plus

import structlog

from easel.gateway.access import PATTERN, network
from easel.gateway.disk import FULL

_log = structlog.get_logger("easel.audit")
FILE = "audit.jsonl"
LARGEST = 10 * 1024 * 1024
"""Bytes of one file."""
OLDEST_OPEN = 31 * 24 * 3600.0
"""Seconds that one file is written to."""
KEPT = 20
"""Files that are kept beside the one that is written to, and for how long at most."""
KEPT_FOR = 366 * 24 * 3600.0
# Kept free for lines that are written while the disk is full, and given up piece by piece.
_ROOM, _PIECE = 256 * 1024, 16 * 1024
_BACKLOG = 10_000
_LONGEST, _LONGEST_READ = 300, 4000
# A scanner's refusals in a minute, from one network and from all; the rest are counted.
_REFUSALS, _ALL_REFUSALS = 10, 200
_WINDOW = 60.0
# Seconds within which one right from one address is told once.
_AGAIN = 3600.0
_REMEMBERED = 20_000


class AuditLog:
    """Writes the log. Lines that cannot be written wait in memory, and are written as soon as they can.

    `copy` has each line as well, where what is on the disk is lost with the gateway.
    """

    def __init__(self, folder: Path, copy: TextIO | None = None) -> None:
        self._path = folder / FILE
        self._copy = copy
        self._room = folder / f".{FILE}.spare"
        self._waiting: deque[str] = deque(maxlen=_BACKLOG)
        self._told: OrderedDict[tuple[object, ...], float] = OrderedDict()
        self._since = time.monotonic()
        self._refusals: dict[str, int] = {}
        self._untold = 0
        self._in_trouble = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keep_room()

    def add(self, kind: str, *, actor: str, endpoint: str = "", address: str = "", **detail: Any) -> None:
        """Note that something happened now."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"at": now, "kind": kind, "actor": actor, "endpoint": endpoint, "address": address}
        more = {key: value for key, value in detail.items() if value not in ("", None)}
        clean = {key: scrubbed(value) for key, value in (record | more).items()}
        line = json.dumps(clean, ensure_ascii=True) + "\n"
        self._waiting.append(line)
        if self._copy is not None:
            self._copy.write(line)
            self._copy.flush()
        self._drain()

    def seen(self, kind: str, key: object, *, actor: str, endpoint: str, address: str, **detail: Any) -> None:
        """Note it unless it was noted of the same `key` from the same address within the hour."""
        now, seen = time.monotonic(), (kind, key, address)
        if now - self._told.get(seen, -_AGAIN) < _AGAIN:
            return
        self._told[seen] = now
        self._told.move_to_end(seen)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        self.add(kind, actor=actor, endpoint=endpoint, address=address, **detail)

    def refused(self, *, endpoint: str, address: str, **detail: Any) -> None:
        """Note that somebody was refused; of a scanner's thousands, that there were so many."""
        self._count()
        where = network(address)
        self._refusals[where] = self._refusals.get(where, 0) + 1
        told = sum(min(count, _REFUSALS) for count in self._refusals.values())
        if self._refusals[where] > _REFUSALS or told > _ALL_REFUSALS:
            self._untold += 1
            return
        self.add("refused", actor="", endpoint=endpoint, address=address, **detail)

    def look(self) -> None:
        """Once a second or so: write what waits, begin a new file when it is time."""
        self._count()
        self._drain()
        self._rotate()
        if not self._waiting:
            self._keep_room()

    def lines(self, *, endpoint: str | None = None, since: float = 0.0, most: int = 1000) -> list[str]:
        """The last `most` lines of an endpoint, or of all, from `since` (Unix seconds) on; oldest first."""
        found: deque[str] = deque(maxlen=most)
        for line in _read([*self._old(), self._path]):
            try:
                record = json.loads(line)
                at = datetime.fromisoformat(record["at"]).timestamp()
            except (ValueError, KeyError, TypeError):
                continue  # a line that a crash cut short
            if at >= since and endpoint in (None, record.get("endpoint")):
                found.append(line)
        return list(found)

    def _count(self) -> None:
        if time.monotonic() - self._since < _WINDOW:
            return
        if self._untold:
            self.add("refused", actor="", more=self._untold, why="more were refused within the minute")
        self._since, self._refusals, self._untold = time.monotonic(), {}, 0

    def _drain(self) -> None:
        while self._waiting:
            try:
                self._append(self._waiting[0])
            except OSError as error:
                if error.errno in FULL and self._give_up_room():
                    continue
                if not self._in_trouble:
                    self._in_trouble = True
                    _log.error("the audit log cannot be written; its lines wait", why=str(error))
                return
            self._waiting.popleft()
        self._in_trouble = False

    def _append(self, line: str) -> None:
        content = line.encode()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            written = os.write(descriptor, content)
            if written < len(content):
                # Half a line: taken back, so that the whole one can be written later.
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise OSError(FULL[0], os.strerror(FULL[0]), str(self._path))
        finally:
            os.close(descriptor)

    def _give_up_room(self) -> bool:
        """Give the disk a piece of what was kept; whether there was one left."""
        try:
            left = self._room.stat().st_size
            if left == 0:
                return False
            os.truncate(self._room, max(0, left - _PIECE))
        except OSError:
            return False
        return True

    def _keep_room(self) -> None:
        try:
            if self._room.stat().st_size >= _ROOM:
                return
        except OSError:
            pass  # made below
        try:
            with os.fdopen(os.open(self._room, os.O_WRONLY | os.O_CREAT, 0o600), "ab") as file:
                # Written and not only asked for: a hole takes no space until it is too late.
                while (missing := _ROOM - file.tell()) > 0:
                    file.write(bytes(min(missing, _PIECE)))
                    file.flush()
        except OSError:
            return  # what was got is kept; the rest when there is space

    def _rotate(self) -> None:
        try:
            found = self._path.stat()
            with self._path.open(encoding="utf-8") as file:
                first = file.readline(_LONGEST * 20)
        except OSError:
            return
        try:
            begun = datetime.fromisoformat(json.loads(first)["at"]).timestamp()
        except (ValueError, KeyError, TypeError):
            begun = found.st_mtime
        if found.st_size < LARGEST and time.time() - begun < OLDEST_OPEN:
            return
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        try:
            self._path.rename(self._path.with_name(f"audit-{stamp}.jsonl"))
            for number, path in enumerate(reversed(self._old())):
                if number >= KEPT or time.time() - path.stat().st_mtime > KEPT_FOR:
                    path.unlink()
        except OSError as error:
            _log.warning("the audit log goes on in the same file", why=str(error))

    def _old(self) -> list[Path]:
        return sorted(self._path.parent.glob("audit-*.jsonl"))


def scrubbed(value: Any) -> Any:
    """A value without anything that looks like a token, however it is spelt, and not too long."""
    if not isinstance(value, str):
        return value
    # What is cut off in the end is not unpacked: of a long one each round is a copy, and there may be as many
    # rounds as letters.
    value = value[:_LONGEST_READ]
    plain, before = unquote_plus(value), value
    while plain != before:  # each round makes it shorter
        plain, before = unquote_plus(plain), plain
    if PATTERN.search(plain) or "easel_pass." in plain:
        value = PATTERN.sub("easel_…", plain).split("easel_pass.")[0]
    return value[:_LONGEST]


def _read(files: list[Path]) -> Iterator[str]:
    for path in files:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    if line.endswith("\n"):
                        yield line.rstrip("\n")
        except FileNotFoundError:
            continue
