"""Log files as people read them: JSON lines become a time, a source and a sentence."""

import json
from collections import defaultdict
from datetime import datetime
from typing import Any

_TIMES = ("timestamp", "ts", "time", "at")
_TEXTS = ("event", "msg", "message", "text")
_LEVELS = {"warning": "warning", "warn": "warning", "error": "error", "critical": "error", "fatal": "error"}
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
