"""Hashes of model files: computed once in the background, kept in the file's record (see records.py).

Several replicas share the store: each file is hashed by one of them, for reading seven gigabytes from network
storage costs time and money. The others find the record.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import structlog

from easel.models.header import HEADER_LIMIT
from easel.models.lock import Lock
from easel.models.records import Records, state_of

log = structlog.get_logger(__name__)

_CHUNK = 1 << 22


class Digests:
    """SHA-256 of a file, and of what follows its safetensors header, from its bytes in order.

    The second is Civitai's AutoV3 (its first twelve digits), by which LoRA files are known in infotexts.
    """

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._rest = hashlib.sha256()
        self._start = b""
        self._skip: int | None = None  # bytes of the header that are still to come

    def update(self, block: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._whole.update(block)
        if self._skip is None:
            taken = 8 - len(self._start)
            self._start += bytes(block[:taken])
            block = block[taken:]
            if len(self._start) == 8:
                self._skip = int.from_bytes(self._start, "little")
        if self._skip is None or self._skip > HEADER_LIMIT:
            return
        if self._skip < len(block):
            self._rest.update(block[self._skip :])
        self._skip = max(0, self._skip - len(block))

    @property
    def sha256(self) -> str:
        """64 digits, of all bytes so far."""
        return self._whole.hexdigest()

    @property
    def autov3(self) -> str:
        """Twelve digits, or "" for what is no safetensors file."""
        whole = self._skip == 0
        return self._rest.hexdigest()[:12] if whole else ""


class Hashes:
    """The known hashes of the files below `root`, and the thread that computes the others."""

    def __init__(self, root: Path, records: Records | None = None) -> None:
        self._records = records or Records(root)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._queue: dict[Path, None] = {}
        self._stop = threading.Event()

    def get(self, path: Path, status: os.stat_result) -> str:
        """The SHA-256 of the file in this state, or "" if it is not known."""
        return self._records.get(path, status).sha256

    def remember(self, path: Path, status: os.stat_result, sha256: str) -> None:
        """Note a hash that is known from elsewhere (a checked download)."""
        if not sha256:
            raise ValueError("'' is no SHA-256: 64 digits of 0-9a-f are")
        self._records.put(path, status, sha256=sha256)

    def now(self, path: Path) -> str:
        """The SHA-256 of the file, read for it if need be. Raises OSError."""
        status = path.stat()
        known = self.get(path, status)
        if known:
            return known
        found = self._hash(path)
        if found is None:
            return ""
        return self._records.put(path, status, sha256=found.sha256, autov3=found.autov3).sha256

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
                known = self._hash_alone(path)
            except OSError as error:
                log.warning("model not hashed", file=path.name, error=error.strerror)
                continue
            if known:
                done()

    def _hash_alone(self, path: Path) -> bool:
        """Hash the file unless another process does. False if the hash is not known afterwards."""
        lock: Lock | None = Lock(self._records.file(path).with_suffix(".hashing"))
        try:
            assert lock is not None  # noqa: S101
            lock.path.parent.mkdir(parents=True, exist_ok=True)
            if not lock.try_take():
                return False  # found in the record at a later look
        except OSError:
            lock = None  # a store that cannot be written to: every process for itself
        try:
            status = path.stat()
            if self.get(path, status):
                return True
            found = self._hash(path)
            # A file that changed while it was read is hashed at the next refresh.
            if found is None or state_of(path.stat()) != state_of(status):
                return False
            self._records.put(path, status, sha256=found.sha256, autov3=found.autov3)
            return True
        finally:
            if lock is not None:
                lock.release()

    def _hash(self, path: Path) -> Digests | None:
        digests = Digests()
        with open(path, "rb", buffering=0) as file:
            while block := file.read(_CHUNK):
                if self._stop.is_set():
                    return None
                digests.update(block)
        return digests
