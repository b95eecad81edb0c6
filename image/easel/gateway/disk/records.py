"""Small lists that several writers share: tokens, ended sessions.

Several gateways and the operator may write at once: every change reads, changes and swaps, and starts over
if another writer was faster. A file does it under a lock, an object store with a conditional write.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import filelock

from easel.gateway.disk.private_file import write_private
from easel.gateway.disk.reserve import Reserve
from easel.gateway.errors import GatewayError, TokenConflict

_ATTEMPTS = 20
R = TypeVar("R")
K = TypeVar("K")
V = TypeVar("V")


class RecordStore(Protocol[R]):
    """Keeps one list, with a revision for compare-and-swap."""

    def read(self) -> tuple[list[R], str]:
        """The records and the revision they are of."""
        ...

    def known(self) -> list[R]:
        """The records as far as they can be told at once: asked at the door."""
        ...

    def swap(self, records: list[R], revision: str, *, must: bool = False) -> bool:
        """Replace the list if it is still at `revision`; whether it was. `must`: on a full disk too."""
        ...

    def changed(self) -> object:
        """A cheap value that differs after any writer's change."""
        ...


class RecordFile(Generic[R]):
    """A list as a file of EASEL_HOME: `{"version": 1, "<name>": [...]}`."""

    def __init__(self, path: Path, name: str, kind: type[R]) -> None:
        self._path = path
        self._name = name
        self._kind = kind
        self._lock = filelock.FileLock(path.with_name(path.name + ".lock"))
        # Not beside another's writing: what is filled with zeros may have become the file.
        with self._lock, contextlib.suppress(OSError):
            Reserve(path).keep()

    def read(self) -> tuple[list[R], str]:
        """The records; none if the file is not there yet. Raises GatewayError if it is another file."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return [], ""
        try:
            return parsed(content, self._name, self._kind), hashlib.sha256(content).hexdigest()
        except (ValueError, KeyError, TypeError) as error:
            raise GatewayError(
                f"{self._path} is not a file of {self._name} ({error}): restore it, "
                f"or remove it to start with no {self._name} at all"
            ) from None

    def known(self) -> list[R]:
        """The records of the file."""
        return self.read()[0]

    def swap(self, records: list[R], revision: str, *, must: bool = False) -> bool:
        """Replace the file as a whole if nobody else did since `revision`. Raises OSError."""
        with self._lock:
            if self.read()[1] != revision:
                return False
            write_private(self._path, text(records, self._name), must=must)
            if not must:
                with contextlib.suppress(OSError):
                    Reserve(self._path).keep()
            return True

    def changed(self) -> object:
        """The file's identity: a swap always makes a new inode."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def parsed(content: bytes, name: str, kind: type[R]) -> list[R]:
    """The records of a file or an object. Raises ValueError, KeyError, TypeError."""
    return [kind(**fields) for fields in json.loads(content)[name]]


def text(records: list[Any], name: str) -> str:
    """A list as it is written."""
    fields = [asdict(record) for record in records if is_dataclass(record) and not isinstance(record, type)]
    return json.dumps({"version": 1, name: fields}, indent=1) + "\n"


def update(store: RecordStore[R], change: Callable[[list[R]], list[R]], *, must: bool = False) -> bool:
    """Change a list as if nobody else did meanwhile; whether there was anything to change. Raises
    TokenConflict, GatewayError, OSError."""
    for _ in range(_ATTEMPTS):
        records, revision = store.read()
        changed = change(records)
        if changed == records:
            return False
        if store.swap(changed, revision, must=must):
            return True
        time.sleep(secrets.randbelow(20) / 1000)
    raise TokenConflict(f"the list changed {_ATTEMPTS} times while it was being written; try again")


def settle(
    store: RecordStore[R], pending: dict[K, V], change: Callable[[list[R], dict[K, V]], list[R]]
) -> bool:
    """Write what counts already and is `pending`, on a full disk too; whether it is written. Blocks.

    What becomes pending meanwhile stays so. A store that does not take it now is asked again by the next
    call.
    """
    waiting = dict(pending)
    if not waiting:
        return True
    try:
        update(store, lambda records: change(records, waiting), must=True)
    except (GatewayError, OSError):
        return False
    for key, value in waiting.items():
        if pending.get(key) is value:
            del pending[key]
    return True
