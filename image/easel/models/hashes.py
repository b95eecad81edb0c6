"""SHA-256 of model files: computed once in the background, kept in a small file beside the store.

A hash belongs to a path, a size and a time of change; when one of them differs it is computed again. The file
can be shared by several replicas: it is read again before it is replaced, replaced in one step, and garbage
in it is forgotten rather than trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_CHUNK = 1 << 22
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Hashes:
    """The known hashes of the files below `root`, kept in `root/.easel/hashes.json`.

    A store that cannot be written to (a read-only mount) still works; hashes then live as long as the
    process.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._file = root / ".easel" / "hashes.json"
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, object]] = self._load()
        self._thread: threading.Thread | None = None
        self._queue: dict[Path, None] = {}
        self._stop = threading.Event()

    def get(self, path: Path, status: os.stat_result) -> str:
        """The SHA-256 of the file in this state, or "" if it is not known."""
        with self._lock:
            entry = self._known.get(self._key(path))
        if (
            entry is None
            or entry.get("size") != status.st_size
            or entry.get("mtime_ns") != status.st_mtime_ns
        ):
            return ""
        return str(entry["sha256"])

    def remember(self, path: Path, status: os.stat_result, sha256: str) -> None:
        """Note a hash that is known from elsewhere (a checked download), or was just computed."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256[:80]!r} is no SHA-256: 64 digits of 0-9a-f are")
        with self._lock:
            self._known[self._key(path)] = {
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "sha256": sha256,
            }
        self._save()

    def compute_later(self, paths: Iterable[Path], done: Callable[[], None]) -> None:
        """Hash `paths` in the background, in order; `done` is called from that thread after each one."""
        with self._lock:
            self._queue.update(dict.fromkeys(paths))
            if (
                not self._queue
                or (self._thread is not None and self._thread.is_alive())
                or self._stop.is_set()
            ):
                return
            self._thread = threading.Thread(target=self._work, args=(done,), name="model-hashes", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop hashing; what is half done is forgotten."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=10)

    def _work(self, done: Callable[[], None]) -> None:
        with suppress(AttributeError, OSError):
            # This thread only: drawing comes first.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        while not self._stop.is_set():
            with self._lock:
                path = next(iter(self._queue), None)
                if path is None:
                    # Under the lock, so that a file queued right now starts a new thread instead of waiting
                    # for none.
                    self._thread = None
                    return
                del self._queue[path]
            try:
                status = path.stat()
                sha256 = self._hash(path)
                same = _state(path.stat()) == _state(status)
            except OSError as error:
                log.warning("model not hashed", file=path.name, error=error.strerror)
                continue
            # A file that changed while it was read is hashed at the next refresh.
            if sha256 and same:
                self.remember(path, status, sha256)
                done()

    def _hash(self, path: Path) -> str:
        digest = hashlib.sha256()
        with open(path, "rb", buffering=0) as file:
            while block := file.read(_CHUNK):
                if self._stop.is_set():
                    return ""
                digest.update(block)
        return digest.hexdigest()

    def _key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _load(self) -> dict[str, dict[str, object]]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {str(key): entry for key, entry in found.items() if _is_entry(entry)}

    def _save(self) -> None:
        with self._lock:
            # What another replica has added meanwhile is kept; what this one knows wins.
            merged = {**self._load(), **self._known}
            self._known = {key: entry for key, entry in merged.items() if (self._root / key).exists()}
            text = json.dumps(self._known, indent=1, sort_keys=True)
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(
                    "w", encoding="utf-8", dir=self._file.parent, delete=False
                ) as file:
                    file.write(text)
                os.replace(file.name, self._file)
            except OSError as error:
                log.debug("hashes not kept", error=error.strerror)


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    size, mtime, sha256 = entry.get("size"), entry.get("mtime_ns"), entry.get("sha256")
    if not isinstance(size, int) or not isinstance(mtime, int) or not isinstance(sha256, str):
        return False
    return _SHA256.fullmatch(sha256) is not None
