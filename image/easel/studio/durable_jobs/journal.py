"""What was accepted and is not finished, on disk: a small file each.

Replicas of an endpoint share the folder. An entry belongs to the process that draws it; when that is gone,
whoever looks next takes the entry over. Who is gone is told by a lock that a living process touches
(`easel.models.Lock`). A picture on its way into the gallery is staged here under its job's name and number
first: if that file has a second name, the picture is saved, even if nobody lived to note it.
"""

from __future__ import annotations

import os
import re
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from easel.models import Lock

log = structlog.get_logger(__name__)

_ID = r"[0-9a-f]{32}"
_ENTRY = re.compile(rf"({_ID})\.json")
_NUMBER = r"\d{1,5}"
_OF_STAGED = rf"(?P<number>{_NUMBER})\.(?:png|jpg|webp)"
_OF_STEPS = rf"(?P<of>{_NUMBER})-(?P<first>{_NUMBER})-(?P<maker>[0-9a-f]{{8}})\.steps"
_STAGED = re.compile(rf"({_ID})-{_OF_STAGED}")
_STEPS = re.compile(rf"({_ID})-{_OF_STEPS}")
_BESIDE = re.compile(rf"({_ID})-(?:{_OF_STAGED}|request\.json|{_OF_STEPS})")
_LARGEST = 64_000_000
"""Bytes of an entry; two prompts of the greatest length take 0.3 MB, and a script has many."""
_MOST = 10_000
"""Entries that are looked at; people together cannot have more waiting."""
KEPT = 7 * 24 * 3600.0
"""Seconds that news for somebody who does not come are kept."""
ABANDONED = 3600.0
"""Seconds after which an unfinished file is nobody's any more."""
TRIES = 2
"""Processes that may end while they draw a job, before it is taken for what ends them."""
TAKEN = 20
"""Times that a job is taken over at all, begun or not."""
TOO_OLD = 24 * 3600.0
"""Seconds after which nobody waits for a picture any more."""
LOOK_EVERY = 60.0
"""Seconds between looks for what other replicas left; a lock on another machine is dead after as many."""

Id = Annotated[str, Field(pattern=rf"^{_ID}$")]


class JournalEntry(BaseModel):
    """What is kept of anything that was accepted.

    `by` is the process that draws it, `at` when it was accepted (Unix seconds). `begun`: this process has
    begun to draw it; `tries`: processes that ended while they drew it, since a picture was saved last;
    `taken`: how often it was taken over at all. `told` are words for its owner; `bad` if they are of a
    failure.
    """

    model_config = ConfigDict(extra="forbid")

    id: Id
    owner: str = Field(min_length=1, max_length=2000)
    by: Id
    at: float = Field(allow_inf_nan=False)
    begun: bool = False
    tries: int = Field(0, ge=0)
    taken: int = Field(0, ge=0)
    told: str = Field("", max_length=4000)
    bad: bool = False

    @property
    def unfinished(self) -> bool:
        """Whether there is anything to draw yet."""
        raise NotImplementedError

    @property
    def orphaned(self) -> bool:
        """Whether there is anything to do for it, should its process be gone."""
        return self.unfinished

    @property
    def outlived(self) -> bool:
        """Whether nobody needs it any more."""
        raise NotImplementedError


Entry = TypeVar("Entry", bound=JournalEntry)


class Journal(Generic[Entry]):
    """The entries below `folder`, of one kind, written as one process. Thread-safe."""

    def __init__(self, folder: Path, kind: type[Entry]) -> None:
        self.folder = folder
        self._kind = kind
        self.process = uuid.uuid4().hex
        self._alive: Lock | None = None
        self._living = threading.Lock()
        # Files beside each entry of this process's own: with ten thousand entries a look at the folder takes
        # long, and each end of one would be a look.
        self._beside: dict[str, set[str]] = {}

    def write(self, entry: Entry) -> None:
        """Keep an entry: all of it or what was there before. Raises OSError."""
        self._whole(self._path(entry.id), entry.model_dump_json().encode())

    def write_request(self, id: str, request: bytes) -> None:
        """Keep what an entry was accepted as, which changes no more: by who accepted it, before the entry.
        Raises OSError."""
        self._beside[id] = {self._request(id).name}
        self._whole(self._request(id), request)

    def request(self, id: str) -> bytes | None:
        """What an entry was accepted as; None if it is gone."""
        try:
            return self._request(id).read_bytes()
        except OSError:
            return None

    def remove_request(self, id: str) -> None:
        """It is finished."""
        with suppress(OSError):
            self._request(id).unlink(missing_ok=True)
        for _, path in self._steps(id):
            self._drop(id, path)

    def write_steps(self, id: str, number: int, first: int, maker: str, content: bytes) -> None:
        """Keep what a picture has reached from its step `first` on, for processes of the same `maker` (8
        hexadecimal digits). Raises OSError."""
        path = self.folder / f"{id}-{number}-{first}-{maker}.steps"
        self._known(path)
        self._whole(path, content)

    def steps(self, id: str, maker: str) -> dict[int, dict[int, Path]]:
        """What was kept like that: by the pictures' numbers the files by their first step."""
        there: dict[int, dict[int, Path]] = {}
        for found, path in self._steps(id):
            if found["maker"] == maker:
                there.setdefault(int(found["of"]), {})[int(found["first"])] = path
        return there

    def remove_steps(self, id: str, number: int) -> None:
        """The picture is there."""
        for found, path in self._steps(id):
            if int(found["of"]) == number:
                self._drop(id, path)

    def _steps(self, id: str) -> list[tuple[re.Match[str], Path]]:
        found = [(_STEPS.fullmatch(name), self.folder / name) for name in self._names_beside(id)]
        return [(match, path) for match, path in found if match]

    def _known(self, path: Path) -> None:
        """A file beside an entry, which may be this process's."""
        if (found := _BESIDE.fullmatch(path.name)) and found[1] in self._beside:
            self._beside[found[1]].add(path.name)

    def _drop(self, id: str, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._beside.get(id, set()).discard(path.name)

    def _names_beside(self, id: str) -> list[str]:
        """Of one entry, without a look at the folder where it is this process's own."""
        known = self._beside.get(id)
        return sorted(tuple(known)) if known is not None else _by_entry(self._names()).get(id, [])

    def _whole(self, path: Path, content: bytes) -> None:
        self._live()
        part = self.folder / f".{uuid.uuid4().hex}.part"
        try:
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            os.replace(part, path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def remove(self, id: str) -> None:
        """Forget an entry and what is staged for it."""
        with suppress(OSError):
            self._path(id).unlink(missing_ok=True)
        for name in self._names_beside(id):
            (self.folder / name).unlink(missing_ok=True)
        self._beside.pop(id, None)

    def staging(self, id: str, index: int, ending: str = "png") -> Path:
        """Where a picture lies until it has its name in the gallery."""
        path = self.folder / f"{id}-{index}.{ending}"
        self._known(path)
        return path

    def take_over(self, saved: Callable[[Entry, int, Path], None]) -> list[Entry]:
        """Entries of processes that are gone, oldest first; from now on they are this process's. `saved` is
        told the numbers of pictures that are in the gallery though nobody noted it, and their second name."""
        left = [entry for entry in self.entries() if entry.orphaned and entry.by != self.process]
        if not left:
            return []
        self._live()
        claims = Lock(self.folder / "taking.lock")
        if not claims.try_take():
            return []
        try:
            gone = {by for by in {entry.by for entry in left} if self._is_gone(by)}
            taken = []
            beside = _by_entry(self._names())
            # read again: another replica may have taken them meanwhile
            for entry in (self.read(entry.id) for entry in left):
                if entry is None or not entry.orphaned or entry.by not in gone:
                    continue
                entry.by = self.process
                entry.taken += 1
                self._beside[entry.id] = set(beside.get(entry.id, []))
                self._note_saved(entry, saved)
                self.write(entry)
                taken.append(entry)
        finally:
            claims.release()
        return sorted(taken, key=lambda entry: entry.at)

    def tidy(self) -> None:
        """Remove news that nobody came for, and what killed processes left of their attempts."""
        for entry in list(self.entries()):
            if entry.outlived:
                self.remove(entry.id)
        for name in self._names():
            path = self.folder / name
            with suppress(OSError):
                orphan = (found := _BESIDE.fullmatch(name)) and not self._path(found[1]).exists()
                # a lock is touched every few seconds while its process lives
                left = orphan or name.endswith((".part", ".lock"))
                if left and time.time() - path.lstat().st_mtime > ABANDONED:
                    path.unlink()

    def close(self) -> None:
        """This process draws no more."""
        if self._alive is not None:
            self._alive.release()
            self._alive = None

    def read(self, id: str) -> Entry | None:
        """An entry; None for one that is not there. One that is none is removed, so that it troubles once."""
        path = self._path(id)
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            return None
        with os.fdopen(file, "rb") as opened:
            text = opened.read(_LARGEST + 1)
        try:
            if len(text) > _LARGEST:
                raise ValueError(f"more than {_LARGEST} bytes")
            entry = self._kind.model_validate_json(text)
            if entry.id != id:
                raise ValueError("another entry's content")
        except (ValueError, ValidationError) as error:
            log.warning("journal: no entry", file=path.name, reason=type(error).__name__)
            self.remove(id)
            return None
        return entry

    def read_if_there(self, id: str) -> Entry | None:
        """An entry by an id that somebody sent; None for one that is none."""
        return self.read(id) if re.fullmatch(_ID, id) else None

    def entries(self) -> Iterator[Entry]:
        """All of them."""
        # Each has files beside it, which are none.
        ids = [found[1] for name in self._names() if (found := _ENTRY.fullmatch(name))]
        for id in ids[:_MOST]:
            if entry := self.read(id):
                yield entry

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.folder))
        except OSError:
            return []

    def _path(self, id: str) -> Path:
        return self.folder / f"{id}.json"

    def _request(self, id: str) -> Path:
        return self.folder / f"{id}-request.json"

    def _live(self) -> None:
        """Make the folder, and show the others that this process is there."""
        with self._living:
            if self._alive is None:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.chmod(self.folder, 0o700)
                alive = Lock(self.folder / f"{self.process}.lock")
                if alive.try_take():
                    self._alive = alive

    def _is_gone(self, process: str) -> bool:
        lock = Lock(self.folder / f"{process}.lock")
        if not lock.try_take():
            return False
        lock.release()
        return True

    def _note_saved(self, entry: Entry, saved: Callable[[Entry, int, Path], None]) -> None:
        """Tell what is in the gallery, though nobody noted it. Removes what is staged."""
        for name in self._names_beside(entry.id):
            if (found := _STAGED.fullmatch(name)) is None:
                continue
            path = self.folder / name
            with suppress(OSError):
                if path.lstat().st_nlink > 1:
                    saved(entry, int(found["number"]), path)
                path.unlink()


def _by_entry(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of files beside entries, by the entry."""
    found: dict[str, list[str]] = {}
    for name in names:
        if match := _BESIDE.fullmatch(name):
            found.setdefault(match[1], []).append(name)
    return found
