"""What models were called before they were renamed: found by it still, until another model is called so.

Who waits for a picture has a path in memory, on this replica or another, and loads it later; who has an old
picture's text, a preset or a choice of a checkpoint means the same file. So a name that was given up is kept:
`path_now` says where the model lies now, and whoever opens models asks it when nothing lies where they look.

One table for the store, `.easel/former.json`: path before → path now, both below `models/`, and when. No link
stays in the old place: who copies a file over one writes into what it leads to.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import structlog

from easel.models.disk import write_whole
from easel.models.lock import Lock
from easel.models.records import FileState, state_of

log = structlog.get_logger(__name__)

MOST = 1_000
"""Former names that are kept; beyond them the oldest are forgotten."""
_TABLE = Path(".easel") / "former.json"
_LIMIT = 2_000_000
_PATIENCE = 5.0


class FormerNames:
    """The table of the store at `root`. Thread-safe, and safe between replicas."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._state: FileState | None = None
        self._names: Mapping[str, str] = MappingProxyType({})

    def look(self) -> Mapping[str, str]:
        """Path before → path now, the last one first, with what other replicas wrote."""
        try:
            # Opening makes NFS ask the server; a look at the time alone may be a minute old.
            with open(self._root / _TABLE, "rb") as file:
                state = state_of(os.fstat(file.fileno()))
                with self._lock:
                    if state == self._state:
                        return self._names
                found = MappingProxyType(_parsed(file.read(_LIMIT)))
        except OSError:
            state, found = None, MappingProxyType({})
        with self._lock:
            self._state, self._names = state, found
        return found

    def remember(self, old: Path, new: Path) -> None:
        """What lies at `old` will be at `new`. Said before it is so, that nobody looks in between."""
        before, now = self._key(old), self._key(new)
        try:
            with self._change() as names:
                names.pop(now, None)
                said = {name: now if at == before else at for name, at in names.items() if name != before}
                names.clear()
                names.update({before: now, **said})
        except OSError as error:
            log.info("the former name is not kept", file=before, error=error.strerror)

    def forget(self, path: Path) -> None:
        """The model at `path` is gone, and what it was called before with it."""
        gone = self._key(path)
        if gone not in self.look().values():
            return
        with suppress(OSError), self._change() as names:
            for name in [name for name, now in names.items() if now == gone]:
                del names[name]

    def _key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    @contextmanager
    def _change(self) -> Iterator[dict[str, str]]:
        """The table, to be changed by one replica at a time, and written at the end. Raises OSError."""
        table = self._root / _TABLE
        table.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock(table.with_name(f".{table.name}.lock"))
        until = time.monotonic() + _PATIENCE
        while not lock.try_take():
            if time.monotonic() > until:
                raise OSError(0, "somebody else is writing the former names")
            time.sleep(0.02)
        try:
            # Whose name another model has by now is nobody's former one.
            names = {name: now for name, now in self.look().items() if not (self._root / name).exists()}
            yield names
            write_whole(table, json.dumps(dict(list(names.items())[:MOST]), indent=1).encode())
        finally:
            lock.release()


def path_now(path: Path) -> Path:
    """Where the model lies that was at `path`, a file or a part of a folder: there, or where it was renamed
    to since. `path` itself for what is at neither."""
    if path.exists():
        return path
    root = next((one for one in path.parents if (one / _TABLE).is_file()), None)
    if root is None:
        return path
    names = FormerNames(root).look()
    for part in (path, *path.parents):
        if part == root:
            break
        now = names.get(part.relative_to(root).as_posix())
        if now is not None and (found := root / now / path.relative_to(part)).exists():
            return found
    return path


def _is_below(path: object) -> bool:
    return isinstance(path, str) and not path.startswith("/") and ".." not in path.split("/")


def _parsed(text: bytes) -> dict[str, str]:
    try:
        found = json.loads(text)
        return {name: now for name, now in found.items() if _is_below(name) and _is_below(now)}
    except (ValueError, AttributeError, RecursionError):
        return {}  # garbage: what it said is lost, as for a model that was renamed by hand
