"""Waiting for a job on an event loop, without a thread for each."""

from __future__ import annotations

import asyncio
import contextlib

from easel.studio.engine import Job


def finished(job: Job) -> asyncio.Event:
    """An event, set on the running loop once the job has ended.

    Not `asyncio.wrap_future`: giving up waiting would cancel the future, and that is the engine's to end.
    """
    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def ring(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone, and so is whoever waited
            loop.call_soon_threadsafe(event.set)

    job.future.add_done_callback(ring)
    return event
