"""What a process that ended said last, in a few words."""

from __future__ import annotations

import json


def last_words(log: str) -> str:
    """Of a log's end; lines as JSON are read for their message."""
    words = [_message(line) for line in log.splitlines() if line.strip()]
    return " | ".join(words[-2:])[-600:]


def _message(line: str) -> str:
    try:
        fields = json.loads(line)
    except ValueError:
        return line.strip()
    if not isinstance(fields, dict):
        return line.strip()
    said = [str(fields[key]).strip() for key in ("event", "message", "error", "exception") if fields.get(key)]
    return ": ".join(dict.fromkeys(said)) or line.strip()
