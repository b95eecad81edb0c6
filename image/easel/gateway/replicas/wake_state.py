"""Which endpoints were awake: what a gateway that comes after one that died cannot see for itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import structlog

from easel.gateway.disk import write_private

_log = structlog.get_logger("easel.gateway")


class WakeState:
    """`run/awake.json`: for each endpoint whether it is awake, or was put to sleep by hand.

    Where replicas are processes they end with the gateway, and an endpoint without a minimum would stay
    asleep under people who draw. Where they are instances they run on, and would be drained by a gateway that
    knows of nobody who asked for them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._noted: dict[str, bool] = {}

    def remembered(self) -> dict[str, bool]:
        """What the gateway before this one noted last; nothing after one that ended in order."""
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {name: awake for name, awake in found.items() if isinstance(awake, bool)}

    def note(self, now: Mapping[str, bool]) -> None:
        """Keep it, if it changed. Never raises for the disk: it is a convenience."""
        if now == self._noted:
            return
        try:
            write_private(self._path, json.dumps(now) + "\n")
        except OSError as error:
            _log.warning("cannot note which endpoints are awake", reason=str(error))
            return
        self._noted = dict(now)

    def forget(self) -> None:
        """All end in order: the next gateway begins anew."""
        self._path.unlink(missing_ok=True)
