"""What a person has made of the pictures: stars, boards, shares. One small file, `.gallery.json`.

Several tabs and replicas change it: each change is made to what the file says at that moment, under a lock
that holds over NFS, so that none undoes another. Pictures may be gone since; who reads leaves those out.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from easel.models import Lock, write_whole
from easel.remark import remark
from easel.studio.gallery.errors import GalleryBusy, GalleryFull, NoSuchBoard
from easel.studio.outputs import NotSaved

_FILE, _LOCK = ".gallery.json", ".gallery.lock"
_PATIENCE = 10.0
"""Seconds; another's change takes milliseconds."""


class Board(BaseModel):
    """Pictures that somebody put together, the last added first. `made_at` in Unix seconds."""

    id: str
    name: str
    made_at: float
    pictures: list[str] = []


class Share(BaseModel):
    """One picture or one board that others of the endpoint may see. `made_at` in Unix seconds."""

    token: str
    picture: str | None = None
    board: str | None = None
    made_at: float


class PersonalLists(BaseModel):
    """All of one person. Pictures are called as `PictureId` writes them."""

    stars: list[str] = []
    boards: list[Board] = []
    shares: list[Share] = []

    def mentions(self, ids: set[str]) -> bool:
        """Whether any of these is in a list."""
        return bool(
            ids.intersection(self.stars)
            or any(ids.intersection(board.pictures) for board in self.boards)
            or any(share.picture in ids for share in self.shares)
        )

    def drop(self, ids: set[str]) -> None:
        """Take pictures out of all lists."""
        self.stars = without_names(self.stars, ids)
        for board in self.boards:
            board.pictures = without_names(board.pictures, ids)
        self.shares = [share for share in self.shares if share.picture not in ids]


def find_board(lists: PersonalLists, id: str) -> Board:
    """Raises NoSuchBoard."""
    for board in lists.boards:
        if board.id == id:
            return board
    raise NoSuchBoard(
        remark("no_such_board", "there is no such board of yours; it may have been deleted in another tab")
    )


def with_names(names: list[str], more: Iterable[str]) -> list[str]:
    """`more` comes before what was there; what is there twice stays once."""
    return list(dict.fromkeys((*more, *names)))


def without_names(names: list[str], fewer: Iterable[str]) -> list[str]:
    """The rest in its order."""
    gone = set(fewer)
    return [name for name in names if name not in gone]


def check_room(count: int, most: int, what: str) -> None:
    """Raises GalleryFull."""
    if count > most:
        raise GalleryFull(
            remark(
                "gallery_full",
                "{n} {what} would be more than the {most} that are kept for one person",
                n=count,
                what=what,
                most=most,
            )
        )


class ListsFiles:
    """Everybody's lists, each by the person's folder. Thread-safe."""

    def __init__(self) -> None:
        # Threads of this process wait here, and not each with a lock file of its own.
        self._locks = tuple(threading.Lock() for _ in range(32))
        self._seen: dict[Path, tuple[tuple[int, int, int], PersonalLists]] = {}

    def read(self, folder: Path) -> PersonalLists:
        """Not to be changed: it is everybody's who reads it. Raises NotSaved if it cannot be read."""
        path = folder / _FILE
        try:
            status = os.stat(path)
            now = (status.st_ino, status.st_mtime_ns, status.st_size)
            seen = self._seen.get(folder)
            if seen and seen[0] == now:
                return seen[1]
        except FileNotFoundError:
            return PersonalLists()
        except OSError as error:
            raise _unreadable(path, error) from error
        lists = _read(path)
        if len(self._seen) > 1000:
            self._seen.clear()
        self._seen[folder] = now, lists
        return lists

    def change(self, folder: Path, edit: Callable[[PersonalLists], None]) -> PersonalLists:
        """Make a change, and say what is so now. Raises NotSaved, GalleryBusy, and what `edit` raises."""
        path = folder / _FILE
        with self._locks[hash(folder) % len(self._locks)]:
            lock = Lock(folder / _LOCK)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                _take(lock)
            except OSError as error:
                raise _unwritable(path, error) from error
            try:
                lists = _read(path)
                edit(lists)
                write_whole(path, lists.model_dump_json(exclude_defaults=True).encode())
            except OSError as error:
                raise _unwritable(path, error) from error
            finally:
                lock.release()
            return lists

    def drop(self, folder: Path, ids: Sequence[str]) -> None:
        """Take pictures that are gone out of the lists, if any is in one. Raises NotSaved, GalleryBusy."""
        gone = set(ids)
        if self.read(folder).mentions(gone):
            self.change(folder, lambda lists: lists.drop(gone))


def _read(path: Path) -> PersonalLists:
    try:
        return PersonalLists.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return PersonalLists()
    except (OSError, ValidationError) as error:
        raise _unreadable(path, error) from error


def _take(lock: Lock) -> None:
    until = time.monotonic() + _PATIENCE
    while not lock.try_take():
        if time.monotonic() > until:
            raise GalleryBusy(
                remark(
                    "gallery_busy", "somebody else is changing your stars and boards: try again in a moment"
                )
            )
        time.sleep(0.02)


def _unreadable(path: Path, error: Exception) -> NotSaved:
    why = getattr(error, "strerror", None) or "it is no list of Easel's"
    return NotSaved(f"your stars and boards cannot be read ({why}); the operator finds them in {path.name}")


def _unwritable(path: Path, error: OSError) -> NotSaved:
    return NotSaved(f"your stars and boards could not be kept: {error.strerror or error} ({path.name})")
