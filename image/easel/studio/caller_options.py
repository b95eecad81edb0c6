"""What each caller has set for itself (A1111's options), kept beside the caller's pictures."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from easel.models import write_whole
from easel.studio.outputs import NotSaved, Outputs

log = structlog.get_logger(__name__)

# A1111 has some four hundred options; clients keep a few of their own among them.
MAX_BYTES = 256_000


class TooMany(ValueError):
    """More is to be kept than options ever need."""


class CallerOptions:
    """Options by owner. Nobody's options touch anybody else's.

    They are files, so that they outlive the studio going to sleep, and so that every replica knows them.
    """

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[int, dict[str, Any]]] = {}

    def read(self, owner: str) -> dict[str, Any]:
        """What `owner` has set; empty for somebody who set nothing."""
        path = self._path(owner)
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return {}
        seen = self._seen.get(owner)
        if seen and seen[0] == changed:
            return dict(seen[1])
        try:
            values = json.loads(path.read_bytes())
        except (OSError, ValueError) as e:
            log.warning("options unreadable", path=str(path), reason=str(e))
            return {}
        if not isinstance(values, dict):
            return {}
        if len(self._seen) > 1000:
            self._seen.clear()
        self._seen[owner] = (changed, values)
        return dict(values)

    def update(self, owner: str, values: Mapping[str, Any]) -> None:
        """Set some of an owner's options. Raises TooMany, or NotSaved when the disk says no."""
        path = self._path(owner)
        with self._lock:
            text = json.dumps({**self.read(owner), **values}, indent=1).encode()
            if len(text) > MAX_BYTES:
                raise TooMany(f"options take {len(text)} bytes; at most {MAX_BYTES} are kept for one caller")
            try:
                write_whole(path, text)
            except OSError as e:
                raise NotSaved(f"the options could not be kept: {e.strerror or e} ({path})") from e
            self._seen.pop(owner, None)

    def _path(self, owner: str) -> Path:
        return self._outputs.owned(owner) / "options.json"
