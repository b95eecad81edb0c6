"""Pictures that are kept: `outputs/<endpoint>/<owner>/<date>/NNNNN-<seed>.png` (or jpg, webp)."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence, Set
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Protocol

import structlog

from easel.remark import remark
from easel.studio.owner import folder_name

log = structlog.get_logger(__name__)

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
PICTURE = re.compile(r"([0-9]{5,18})-[0-9]{1,20}\.(?:png|jpg|webp)")
_ANY = re.compile(r"[^.].*")
BESIDE = ".gallery"
"""A day's hidden folder: what is made of its pictures, and goes with them."""


class NotSaved(Exception):
    """A picture was drawn and could not be written. The message says why and what helps."""


class OutputsListener(Protocol):
    """Hears, on the thread that did it, what came and went in this process."""

    def saved(self, path: Path, file: bytes) -> None:
        """A picture is there, with these bytes."""

    def gone(self, paths: Sequence[Path]) -> None:
        """Pictures are not there any more."""


class Outputs:
    """The saved pictures of one endpoint. Safe to use from any thread, and beside other replicas."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._numbers: dict[Path, int] = {}
        self._lock = threading.Lock()
        self._listeners: list[OutputsListener] = []

    def listen(self, listener: OutputsListener) -> None:
        """Tell `listener` from now on."""
        self._listeners.append(listener)

    def owned(self, owner: str) -> Path:
        """The folder that holds what belongs to `owner`, and nothing of anybody else."""
        return self.folder / folder_name(owner)

    def save(
        self, owner: str, picture: bytes, seed: int, *, staged: Path | None = None, ending: str = "png"
    ) -> Path:
        """Write a picture's file and say where. All of it is there under its name, or nothing.

        `ending` is png, jpg or webp. `staged` is where to write it before it gets its name. It stays there as
        a second name of the picture, so that the caller can tell, after a death in between, whether there is
        a first one. Raises NotSaved.
        """
        folder = self.owned(owner) / date.today().isoformat()
        part = staged or folder / f".{uuid.uuid4().hex}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("wb") as file:
                    file.write(picture)
                    file.flush()
                    os.fsync(file.fileno())
                path = self._name(part, folder, f"{seed}.{ending}")
            except OSError:
                part.unlink(missing_ok=True)
                raise
            finally:
                if staged is None:
                    part.unlink(missing_ok=True)
        except OSError as e:
            raise NotSaved(_why(e, self.folder)) from e
        self._tell_saved(path, picture)
        return path

    def remove(self, paths: Sequence[Path]) -> list[Path]:
        """Delete pictures and what was made of them; those that went. What is gone already is no fault."""
        went = []
        for path in paths:
            with contextlib.suppress(OSError):  # gone before, or not ours to delete
                path.unlink()
                went.append(path)
        self.forget(went)
        return went

    def forget(self, paths: Sequence[Path]) -> None:
        """Pictures were deleted: what was made of them goes too, and who listens is told."""
        pictures = [path for path in paths if PICTURE.fullmatch(path.name)]
        for path in pictures:
            with contextlib.suppress(OSError):
                small_of(path).unlink(missing_ok=True)
        for folder in {path.parent for path in pictures}:
            if folder.name != date.today().isoformat():
                with contextlib.suppress(OSError):  # something is still in it
                    self.remove_folder(folder)
        if pictures:
            self._tell_gone(pictures)

    def remove_folder(self, folder: Path) -> None:
        """Remove a day without pictures. Raises OSError if something is still in it."""
        if not _sorted_names(folder, PICTURE):
            shutil.rmtree(folder / BESIDE, ignore_errors=True)
        folder.rmdir()

    def recent(self, owner: str, limit: int = 100) -> list[Path]:
        """The newest pictures of `owner`, newest first, at most `limit`."""
        return list(islice(self._newest_first(owner), limit))

    def expire(self, seconds: float, spared: Callable[[Path], Set[str]]) -> int:
        """Delete every owner's pictures that are older than `seconds`, and say how many those were.

        `spared` says of an owner's folder which pictures stay, as `DAY/NAME`; where it raises NotSaved, all
        do. What is no picture of ours is left alone. What cannot be deleted is tried again the next time.
        """
        before, gone = time.time() - seconds, 0
        for owner in _sorted_names(self.folder, _ANY):
            try:
                stay = spared(self.folder / owner)
            except NotSaved as error:
                log.warning("nothing deleted for now", owner=owner, reason=str(error))
                continue
            for day in _sorted_names(self.folder / owner, DAY):
                folder = self.folder / owner / day
                old = [
                    folder / name
                    for name in _sorted_names(folder, PICTURE)
                    if f"{day}/{name}" not in stay and _is_older(folder / name, before)
                ]
                gone += len(self.remove(old))
                if not old and day != date.today().isoformat():
                    with contextlib.suppress(OSError):  # something is still in it
                        self.remove_folder(folder)
        return gone

    def picture(self, owner: str, day: str, name: str) -> Path | None:
        """The saved picture of `owner` that is called so; None if there is none."""
        if not (DAY.fullmatch(day) and PICTURE.fullmatch(name)):
            return None
        path = self.owned(owner) / day / name
        return path if self.belongs(owner, path) and path.is_file() else None

    def belongs(self, owner: str, path: Path) -> bool:
        """Whether `path` is below the folder of `owner`."""
        try:
            return path.resolve().is_relative_to(self.owned(owner))
        except (OSError, RuntimeError, ValueError):
            return False

    def _tell_saved(self, path: Path, file: bytes) -> None:
        for listener in self._listeners:
            try:
                listener.saved(path, file)
            except Exception:  # whoever listens, the picture is saved
                log.exception("not told of a picture", picture=path.name)

    def _tell_gone(self, paths: Sequence[Path]) -> None:
        for listener in self._listeners:
            try:
                listener.gone(paths)
            except Exception:
                log.exception("not told of pictures that went", pictures=len(paths))

    def _newest_first(self, owner: str) -> Iterator[Path]:
        for day in _sorted_names(self.owned(owner), DAY):
            for name in _sorted_names(self.owned(owner) / day, PICTURE):
                yield self.owned(owner) / day / name

    def _name(self, part: Path, folder: Path, rest: str) -> Path:
        """`rest` stands behind the number: the seed and the ending."""
        with self._lock:
            last = self._numbers.get(folder)
            if last is None:
                taken = [int(m[1]) for name in os.listdir(folder) if (m := PICTURE.fullmatch(name))]
                last = max(taken, default=0)
            while True:
                last += 1
                path = folder / f"{last:05}-{rest}"
                try:
                    # A link fails when the name is taken, so another replica's picture is never overwritten.
                    os.link(part, path)
                except FileExistsError:
                    continue
                except OSError as e:
                    if e.errno not in {errno.EPERM, errno.ENOTSUP, errno.EMLINK} or path.exists():
                        raise
                    part.replace(path)  # a file system without links
                self._numbers[folder] = last
                return path


def _sorted_names(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    try:
        names = [name for name in os.listdir(folder) if pattern.fullmatch(name)]
    except OSError:
        return []
    return sorted(names, key=lambda name: (len(name.split("-")[0]), name), reverse=True)


def small_of(picture: Path) -> Path:
    """Where a picture's small version lies, if there is one."""
    return picture.parent / BESIDE / f"{picture.name}.webp"


def _is_older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except OSError:  # another replica was faster
        return False


def _why(e: OSError, folder: Path) -> str:
    if e.errno in {errno.ENOSPC, errno.EDQUOT}:
        words = "the disk under {folder} is full: make room there, then draw it again with the same seed"
        return remark("outputs_full", words, folder=folder)
    if e.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        words = "{folder} cannot be written ({why}): give the studio's user the right to write there"
        return remark("outputs_closed", words, folder=folder, why=e.strerror)
    return remark(
        "outputs_failed", "writing below {folder} failed: {why}", folder=folder, why=e.strerror or e
    )
