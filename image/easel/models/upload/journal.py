"""What is known of an upload, beside its bytes: `models/.easel/uploads/ID.json` and `ID.part`.

The journal claims only bytes that have been written through: after a crash the next one to go on may be
another machine, which sees what the file server has.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from easel.models.disk import write_whole
from easel.models.kind import Kind

_ID = re.compile(r"[0-9a-f]{32}")
_LIMIT = 1 << 16


class UploadState(StrEnum):
    """`open` until it became a model (`done`) or was refused (`failed`)."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload. Sizes are bytes, times Unix seconds.

    `kind` is None until the file's header has said it; `path` is where the model is or is about to be, below
    `models`; `told` is what the client said of it, as it said it; `sha256` is what it must be until it is
    done, and then what it is.
    """

    id: str
    owner: str
    length: int
    name: str
    kind: Kind | None = None
    folder: str = ""
    sha256: str = ""
    replaces: bool = False
    told: str = ""
    offset: int = 0
    checked: bool = False
    state: UploadState = UploadState.OPEN
    detail: str = ""
    path: str = ""
    expires: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether all bytes are there."""
        return self.offset == self.length

    def but(self, **changed: object) -> Upload:
        """The same with something changed."""
        return replace(self, **changed)  # type: ignore[arg-type]


def new_id() -> str:
    """A name that nobody guesses."""
    return secrets.token_hex(16)


class UploadJournals:
    """The uploads of one store, as they stand on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def part(self, upload: str) -> Path:
        """Where its bytes gather."""
        return self.folder / f"{upload}.part"

    def lock(self, upload: str) -> Path:
        """What says that somebody writes to it."""
        return self.folder / f"{upload}.lock"

    def read(self, upload: str) -> Upload | None:
        """What is known of it; None for nothing, or nothing that can be trusted."""
        if not _ID.fullmatch(upload):
            return None
        try:
            with open(self._file(upload), encoding="utf-8") as file:
                found = json.load(file) if self._file(upload).stat().st_size <= _LIMIT else {}
            kind = None if found["kind"] is None else Kind(found["kind"])
            read = Upload(**{**found, "kind": kind, "state": UploadState(found["state"])})
            return read if 0 <= read.offset <= read.length else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def write(self, upload: Upload) -> None:
        """Keep it. Raises OSError."""
        write_whole(self._file(upload.id), json.dumps(asdict(upload)).encode())

    def all(self) -> list[Upload]:
        """Every upload, finished ones too."""
        try:
            names = [path.stem for path in self.folder.iterdir() if path.suffix == ".json"]
        except OSError:
            return []
        return [one for one in map(self.read, names) if one is not None]

    def strays(self, before: float) -> list[Path]:
        """Files last changed before then that belong to no upload."""
        found = []
        for path in self.folder.glob("*"):
            name = path.name.lstrip(".").split(".")[0]
            try:
                if path.stat().st_mtime < before and (path.name[0] == "." or self.read(name) is None):
                    found.append(path)
            except OSError:
                continue
        return found

    def forget(self, upload: str) -> None:
        """Take it away, its bytes first: a journal without bytes harms nobody."""
        self.part(upload).unlink(missing_ok=True)
        self._file(upload).unlink(missing_ok=True)

    def _file(self, upload: str) -> Path:
        return self.folder / f"{upload}.json"
