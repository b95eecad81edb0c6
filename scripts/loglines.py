"""Log files as people read them: JSON lines become a time, a source and a sentence."""

import json
import os
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any

_TIMES = ("timestamp", "ts", "time", "at")
_TEXTS = ("event", "msg", "message", "text")
_LEVELS = {"warning": "warning", "warn": "warning", "error": "error", "critical": "error", "fatal": "error"}
_LONGEST = 10_000_000
_NOISE = ("logger", "level", "kind", "caller", "stack", "exception", *_TIMES, *_TEXTS)


def readable(line: str, source: str) -> str:
    """One line of a log: `12:03:04  studio  loading the checkpoint  name=easel-starter`."""
    record = _record(line)
    if record is None:
        return f"{'':8}  {source}  {_printable(line)}"
    at = next((record[key] for key in _TIMES if key in record), None)
    text = next((str(record[key]) for key in _TEXTS if record.get(key)), "")
    level = level_of(record)
    if source == "gateway" and isinstance(record.get("endpoint"), str):
        # An event: it is the replica's story, told by the gateway.
        source = "-".join(str(record.pop(key)) for key in ("endpoint", "replica") if record.get(key))
    rest = "  ".join(f"{key}={_value(value)}" for key, value in record.items() if key not in _NOISE)
    parts = (_clock(at), source, f"{level}: {text}" if level else text, rest)
    shown = "  ".join(_printable(part) for part in parts if part)
    trouble = str(record.get("exception") or record.get("stack") or "").rstrip()
    return shown + "".join(f"\n{'':10}{_printable(row)}" for row in trouble.splitlines())


def by_time(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Lines of several files in one order; a line without a time goes with the one before it."""
    last: dict[str, float] = defaultdict(float)
    timed = []
    for source, line in lines:
        last[source] = _moment(line) or last[source]
        timed.append((last[source], source, line))
    return [(source, line) for _, source, line in sorted(timed, key=lambda entry: entry[0])]


def _moment(line: str) -> float:
    """When a line was written, in seconds; 0 where it does not say."""
    record = _record(line) or {}
    at = next((record[key] for key in _TIMES if key in record), 0)
    try:
        return float(at) if isinstance(at, int | float) else datetime.fromisoformat(str(at)).timestamp()
    except (ValueError, OverflowError):
        return 0


def level_of(record: dict[str, Any]) -> str:
    """`warning`, `error` or nothing."""
    return _LEVELS.get(str(record.get("level", "")).lower(), "")


def is_news(line: str, source: str) -> bool:
    """Whether a line is worth the operator's eye.

    Caddy tells of every request, and only errors are news; that a server listens on an inner port is none.
    """
    record = _record(line)
    if record is None:
        return True
    if source == "caddy":
        return level_of(record) == "error"
    return bool(level_of(record)) or not str(record.get("logger", "")).startswith("uvicorn")


class Tail:
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


def _record(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _clock(at: object) -> str:
    try:
        if isinstance(at, int | float):
            return datetime.fromtimestamp(at).strftime("%H:%M:%S")
        return datetime.fromisoformat(str(at)).astimezone().strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return " " * 8


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"


def _printable(text: str) -> str:
    """A log may quote what a stranger sent; it must not steer the terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
