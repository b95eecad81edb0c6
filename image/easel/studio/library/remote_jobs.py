"""What the replicas of an endpoint tell each other of their jobs: a small file each, below the store.

A download runs on one replica, and whoever asked for it may be sent to another one by the door a moment
later. So the replica that runs a job writes how far it is, every second, and the others show it. Who cancels
elsewhere leaves a note that the replica finds. A job that nobody writes about any more has ended with its
replica, and is said to have.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import ValidationError

from easel.models import write_whole
from easel.remark import remark
from easel.studio.coded_text import CodedText
from easel.studio.library.background_job import FINAL, BackgroundJobState, JobError, JobView

log = structlog.get_logger(__name__)

GONE_AFTER = 30.0
"""Seconds without a word after which a job's replica is taken for gone; both clocks are the network's."""
KEPT = 24 * 3600.0
"""Seconds that a job is shown after its end, as those of one replica are."""
_ID = re.compile(r"[0-9a-f]{16}")
_LARGEST = 5_000_000
# Every open page asks every second, and a listing of a folder over a network takes a while.
_FRESH = 0.8


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """A job of another replica, as it was written about last."""

    jobs: RemoteJobs
    said: JobView
    owners: frozenset[str]

    @property
    def id(self) -> str:
        """The job's name."""
        return self.said.id

    @property
    def state(self) -> BackgroundJobState:
        """Where it is."""
        return self.said.state

    @property
    def created(self) -> float:
        """Unix seconds."""
        return self.said.created

    def view(self, owner: str = "") -> JobView:
        """How it is now, as `owner` may see it."""
        now = self.jobs.find(self.said.id) or self
        return now.said.model_copy(update={"mine": owner in now.owners})


class RemoteJobs:
    """The jobs that are told of in `folder`. Thread-safe. A store that cannot be written to tells nobody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: tuple[float, list[RemoteJob]] = (-1.0, [])

    def publish(self, view: JobView, owners: Iterable[str]) -> None:
        """Tell the others how one's own job is."""
        said = {"view": view.model_dump(mode="json"), "owners": sorted(owners)}
        try:
            write_whole(self._file(view.id), json.dumps(said).encode())
        except OSError as error:
            log.debug("job not told to other replicas", job=view.id, error=error.strerror)

    def others(self, own: Collection[str]) -> list[RemoteJob]:
        """Everybody's jobs but one's `own`."""
        with self._lock:
            at, found = self._seen
            if time.monotonic() - at > _FRESH:
                found = self._look()
                self._seen = (time.monotonic(), found)
        return [one for one in found if one.id not in own]

    def find(self, number: str) -> RemoteJob | None:
        """The job of this id, as it is told of now."""
        if not _ID.fullmatch(number):
            return None
        path = self._file(number)
        try:
            age = time.time() - path.stat().st_mtime
            with open(path, "rb") as file:
                said = json.loads(file.read(_LARGEST))
            view = JobView.model_validate(said["view"])
            owners = frozenset(map(str, said["owners"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError):
            return None
        if view.state not in FINAL and age > GONE_AFTER:
            view = _ended(view)
        return RemoteJob(self, view, owners)

    def ask_to_cancel(self, number: str, owner: str) -> None:
        """Leave a note for the replica that runs it."""
        name = hashlib.sha256(owner.encode()).hexdigest()[:16]
        with suppress(OSError):
            write_whole(self._folder / f"{number}.cancel-{name}", owner.encode())

    def cancel_requests(self, number: str) -> list[str]:
        """Who asked to cancel one's own job since the last look."""
        found = []
        for path in self._folder.glob(f"{number}.cancel-*"):
            with suppress(OSError):
                found.append(path.read_text(errors="replace")[:1000])
                path.unlink()
        return found

    def _look(self) -> list[RemoteJob]:
        found = []
        for path in self._listed():
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > KEPT:
                    path.unlink()
                elif path.suffix == ".json" and (job := self.find(path.stem)):
                    found.append(job)
        return found

    def _listed(self) -> list[Path]:
        try:
            return [self._folder / name for name in os.listdir(self._folder)]
        except OSError:
            return []

    def _file(self, number: str) -> Path:
        return self._folder / f"{number}.json"


def _ended(view: JobView) -> JobView:
    words = remark(
        "replica_ended",
        "{title}: the replica that was at it has ended; what had come is kept: start it again, it goes "
        "on from there",
        title=view.title,
    )
    return view.model_copy(
        update={
            "state": BackgroundJobState.FAILED,
            "words": words,
            "remark": CodedText.of(words),
            "speed": 0.0,
            "left": None,
            "error": JobError(error="Gone", detail=words, errors=words),
        }
    )
