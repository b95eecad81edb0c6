"""What is known of a model file and is not in it: hashes, where it came from. One small file each.

The record of `models/Lora/a/b.safetensors` is `models/.easel/files/Lora/a/b.safetensors.json`. It belongs to
a file of one size, time of change and inode: when one of them differs, another file has taken the name and
nothing of the record counts. (The time alone does not tell: files from images and archives bear the same.)
One file for each record, replaced in one step, needs no lock between replicas.
"""

from __future__ import annotations

import json
import os
import re
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import structlog

from easel.models.disk import write_whole

log = structlog.get_logger(__name__)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_AUTOV3 = re.compile(r"[0-9a-f]{12}")
_LIMIT = 100_000

FileState = tuple[int, int, int]
"""Size in bytes, time of change in nanoseconds and inode: what tells one file of a name from the next. For a
model that is a folder see model_folder.py."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known. Empty strings where nothing is.

    `autov3` is twelve digits of the SHA-256 of what follows the header; `source` is the address as people
    may read it, `key` tells it from others, `etag` is what the source called this version.
    """

    sha256: str = ""
    autov3: str = ""
    source: str = ""
    key: str = ""
    etag: str = ""

    def __post_init__(self) -> None:
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.sha256[:80]!r} is no SHA-256: 64 digits of 0-9a-f are")
        if self.autov3 and not _AUTOV3.fullmatch(self.autov3):
            raise ValueError(f"{self.autov3[:80]!r} is no AutoV3: 12 digits of 0-9a-f are")


class Records:
    """The records of the files below `root`. Thread-safe.

    On a store that cannot be written to, they live as long as the process.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._known: dict[str, tuple[FileState, Record]] = {}

    def get(self, path: Path, state: FileState) -> Record:
        """What is known of the file in this state; an empty record if nothing is."""
        key = self._key(path)
        with self._lock:
            known = self._known.get(key)
        if known is None or known[0] != state or not known[1].sha256:
            # Another process may know more.
            found = self._load(key)
            if found is not None and found[0] == state:
                known = found
                with self._lock:
                    self._known[key] = found
        return known[1] if known is not None and known[0] == state else Record()

    def put(self, path: Path, state: FileState, **said: str) -> Record:
        """Add to what is known of the file in this state. Raises ValueError for what is no hash."""
        record = replace(self.get(path, state), **said)
        key = self._key(path)
        with self._lock:
            self._known[key] = (state, record)
        self._save(key, state, record)
        return record

    def forget(self, path: Path) -> None:
        """The file is gone."""
        key = self._key(path)
        with self._lock:
            self._known.pop(key, None)
        with suppress(OSError):
            self.file(path).unlink()

    def file(self, path: Path) -> Path:
        """Where the record of the model file at `path` is kept."""
        return self._file(self._key(path))

    def _key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _file(self, key: str) -> Path:
        return self._root / ".easel" / "files" / f"{key}.json"

    def _load(self, key: str) -> tuple[FileState, Record] | None:
        try:
            with open(self._file(key), encoding="utf-8") as file:
                found = json.loads(file.read(_LIMIT))
            state = tuple(int(found[name]) for name in ("size", "mtime_ns", "inode"))
            names = {field.name for field in fields(Record)}
            said = {name: str(value) for name, value in found.items() if name in names}
            return (state[0], state[1], state[2]), Record(**said)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None  # none, or garbage: what it said is found out again

    def _save(self, key: str, state: FileState, record: Record) -> None:
        size, mtime_ns, inode = state
        said = {name: value for name, value in asdict(record).items() if value}
        text = json.dumps({"size": size, "mtime_ns": mtime_ns, "inode": inode, **said}, indent=1)
        try:
            write_whole(self._file(key), text.encode())
        except OSError as error:
            log.debug("record not kept", file=key, error=error.strerror)


def state_of(status: os.stat_result) -> FileState:
    """The state of a file."""
    return status.st_size, status.st_mtime_ns, status.st_ino
