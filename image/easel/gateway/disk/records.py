"""Small lists that several writers share: tokens, ended sessions.

Several gateways and the operator may write at once: every change reads, changes and swaps, and starts over
if another writer was faster. A file does it under a lock, an object store with a conditional write.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Generic, TypeVar

from easel.gateway.disk.shared_file import Document, SharedFile
from easel.gateway.errors import GatewayError, TokenConflict
from easel.remark import remark

_ATTEMPTS = 20
R = TypeVar("R")
K = TypeVar("K")
V = TypeVar("V")


class RecordList(Generic[R]):
    """A list as a document: `{"version": 1, "<name>": [...]}`.

    What was read last is kept: a request at the door is not held up by S3. `read` sees what others wrote.
    """

    def __init__(self, document: Document, name: str, kind: type[R]) -> None:
        self._document = document
        self._name = name
        self._kind = kind
        self._records: list[R] = []
        self._revision = ""

    def read(self) -> tuple[list[R], str]:
        """The records and the revision they are of; none if nothing was written yet. Raises GatewayError;
        what is known stays known."""
        content, revision = self._document.read()
        records = self._parsed(content) if revision else []
        self._records, self._revision = records, revision
        return list(records), revision

    def known(self) -> list[R]:
        """The records as far as they can be told at once: asked at the door."""
        return self._records

    def swap(self, records: list[R], revision: str, *, must: bool = False) -> bool:
        """Replace the list if it is still at `revision`; whether it was. `must`: on a full disk too. Raises
        GatewayError, OSError."""
        fields = [asdict(one) for one in records if is_dataclass(one) and not isinstance(one, type)]
        text = json.dumps({"version": 1, self._name: fields}, indent=1) + "\n"
        if written := self._document.swap(text, revision, must=must):
            self._records, self._revision = records, written
        return bool(written)

    def changed(self) -> object:
        """A cheap value that differs after any change of what is known: the revision last seen."""
        return self._revision

    def _parsed(self, content: bytes) -> list[R]:
        try:
            return [self._kind(**fields) for fields in json.loads(content)[self._name]]
        except (ValueError, KeyError, TypeError) as error:
            words = (
                "{file} is not a file of {what} ({why}): restore an earlier version of it, or remove it to "
                "start with no {what} at all"
            )
            text = remark("records_damaged", words, file=self._document.name, what=self._name, why=error)
            raise GatewayError(text) from None


class RecordFile(RecordList[R]):
    """A list as a file of EASEL_HOME: what others wrote is known as soon as it is there."""

    def __init__(self, path: Path, name: str, kind: type[R]) -> None:
        file = SharedFile(path)
        super().__init__(file, name, kind)
        self._file = file

    def known(self) -> list[R]:
        """The records of the file. Raises GatewayError."""
        return self.read()[0]

    def changed(self) -> object:
        """The file's identity."""
        return self._file.identity()


def update(store: RecordList[R], change: Callable[[list[R]], list[R]], *, must: bool = False) -> bool:
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
    words = "the list changed {n} times while it was being written; try again"
    raise TokenConflict(remark("list_contended", words, n=_ATTEMPTS))


def settle(
    store: RecordList[R], pending: dict[K, V], change: Callable[[list[R], dict[K, V]], list[R]]
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
