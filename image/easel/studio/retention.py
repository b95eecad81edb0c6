"""Deletes pictures that are older than the endpoint keeps them (`storage.retention`), none with a star."""

from __future__ import annotations

import threading

import structlog

from easel.studio.gallery import Gallery
from easel.studio.outputs import Outputs

_log = structlog.get_logger("easel.studio")
# Between two looks, unless pictures are kept for less.
_HOUR = 3600.0


def start(outputs: Outputs, gallery: Gallery, seconds: float) -> threading.Event:
    """Look now and then from a thread of its own, until the event is set. `seconds` is how long to keep."""
    stop = threading.Event()
    threading.Thread(
        target=_keep_on, args=(outputs, gallery, seconds, stop), name="retention", daemon=True
    ).start()
    return stop


def _keep_on(outputs: Outputs, gallery: Gallery, seconds: float, stop: threading.Event) -> None:
    while True:
        if gone := outputs.expire(seconds, gallery.starred):
            _log.info("deleted old pictures", pictures=gone, older_than_seconds=seconds)
        if stop.wait(min(_HOUR, seconds)):
            return
