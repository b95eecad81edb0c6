"""What is done with requests of processes that are gone."""

from __future__ import annotations

import time
from pathlib import Path

from easel.remark import remark
from easel.studio.api.jobs.record import AcceptedRequest
from easel.studio.durable_jobs import TAKEN, TOO_OLD, TRIES
from easel.studio.outputs import Outputs


def why_not(record: AcceptedRequest) -> str:
    """Why a job that was taken over is not drawn again; "" if it is."""
    which = f"“{str(record.shown.get('prompt') or record.kind)[:80]}” ({record.width}x{record.height})"
    if record.tries >= TRIES or record.taken > TAKEN:
        return remark(
            "ended_twice",
            "Not drawn: {which}. The studio ended {n} times while it was at it. "
            "Draw it smaller, or in fewer pictures; the log of the endpoint says more.",
            which=which,
            n=record.tries or record.taken,
        )
    if time.time() - record.at > TOO_OLD:
        return remark(
            "away_too_long", "Not drawn: {which}. The studio was away for more than a day.", which=which
        )
    return ""


def note_saved(outputs: Outputs, record: AcceptedRequest, number: int, staged: Path) -> None:
    """A picture is in the gallery under a name that nobody noted: the one of the same file."""
    folder, same = outputs.owned(record.owner), staged.stat()
    days = sorted((day for day in folder.iterdir() if day.is_dir()), reverse=True)
    for path in (path for day in days for path in day.iterdir()):
        found = path.stat()
        if (found.st_ino, found.st_dev) == (same.st_ino, same.st_dev):
            record.done = {**record.done, number: f"{path.parent.name}/{path.name}"}
            return
