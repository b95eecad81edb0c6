"""Hashes of models: computed once in the background, kept in the model's record (see records.py).

Several replicas share the store: each model is hashed by one of them, for reading seven gigabytes from
network storage costs time and money. The others find the record.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

import structlog

from easel.models.errors import FileError
from easel.models.header import HEADER_LIMIT
from easel.models.lock import Lock
from easel.models.model_folder import hash_of_folder, state_of_model
from easel.models.records import FileState, Records

log = structlog.get_logger(__name__)

_CHUNK = 1 << 22
# Below it, handing a block to another thread takes longer than hashing it.
_WORTH_HANDING_OVER = 1 << 16


class Digests:
    """SHA-256 of a file, and of what follows its safetensors header, from its bytes in order.

    The second is Civitai's AutoV3 (its first twelve digits), by which LoRA files are known in infotexts. It
    is as much work again: with a `helper` it is done beside the first, on another core; without `rest` not at
    all, where somebody has told it already.
    """

    def __init__(self, helper: Executor | None = None, *, rest: bool = True) -> None:
        self._whole = hashlib.sha256()
        self._rest = _Rest() if rest else None
        self._helper = helper

    def update(self, block: bytes | memoryview) -> None:
        """Take the next bytes."""
        rest = self._rest
        if rest is None:
            self._whole.update(block)
        elif self._helper is None or len(block) < _WORTH_HANDING_OVER:
            self._whole.update(block)
            rest.update(block)
        else:
            # hashlib lets go of the interpreter, so both run at once.
            beside = self._helper.submit(rest.update, block)
            self._whole.update(block)
            beside.result()

    @property
    def sha256(self) -> str:
        """64 digits, of all bytes so far."""
        return self._whole.hexdigest()

    @property
    def autov3(self) -> str:
        """Twelve digits, or "" for what is no safetensors file, or was not computed."""
        return self._rest.autov3 if self._rest is not None else ""


class _Rest:
    """The SHA-256 of what follows the header."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._start = b""
        self._skip: int | None = None  # bytes of the header that are still to come

    def update(self, block: bytes | memoryview) -> None:
        """Take the next bytes of the file."""
        if self._skip is None:
            taken = 8 - len(self._start)
            self._start += bytes(block[:taken])
            block = block[taken:]
            if len(self._start) == 8:
                self._skip = int.from_bytes(self._start, "little")
        if self._skip is None or self._skip > HEADER_LIMIT:
            return
        if self._skip < len(block):
            self._hash.update(memoryview(block)[self._skip :])
        self._skip = max(0, self._skip - len(block))

    @property
    def autov3(self) -> str:
        """Twelve digits, or "" for what is no safetensors file."""
        return self._hash.hexdigest()[:12] if self._skip == 0 else ""


def digest_file(
    path: Path, heed: Callable[[bytes], object] = lambda block: None, helper: Executor | None = None
) -> Digests:
    """Read a file from end to end; `heed` is shown each block, and may raise to end it. Raises OSError."""
    digests = Digests(helper)
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_CHUNK):
            heed(block)
            digests.update(block)
    return digests


def hashes_of(
    path: Path, heed: Callable[[bytes], object] = lambda block: None, helper: Executor | None = None
) -> dict[str, str]:
    """What the record of a model says of its bytes, a file's or a folder's. Raises OSError, OddFolder."""
    if path.is_dir():
        return {"sha256": hash_of_folder(path, heed)}
    digests = digest_file(path, heed, helper)
    return {"sha256": digests.sha256, "autov3": digests.autov3}


class _Stopped(Exception):
    """Nobody wants the hash any more."""


class Hashes:
    """The known hashes of the models below `root`, and the thread that computes the others."""

    def __init__(self, root: Path, records: Records | None = None) -> None:
        self._records = records or Records(root)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._queue: dict[Path, None] = {}
        self._stop = threading.Event()

    def get(self, path: Path, state: FileState) -> str:
        """The SHA-256 of the model in this state, or "" if it is not known."""
        return self._records.get(path, state).sha256

    def now(self, path: Path) -> str:
        """The SHA-256 of the model, read for it if need be; "" for a folder that has none. Raises OSError."""
        state = state_of_model(path)
        known = self.get(path, state)
        if known:
            return known
        try:
            said = hashes_of(path, self._heed)
        except (FileError, _Stopped) as error:
            log.warning("model not hashed", file=path.name, error=str(error))
            return ""
        return self._records.put(path, state, **said).sha256

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
                    # Under the lock, so that a file queued right now starts a thread and waits for none.
                    self._thread = None
                    return
                del self._queue[path]
            try:
                known = self._hash_alone(path)
            except (OSError, FileError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                log.warning("model not hashed", file=path.name, error=why)
                continue
            if known:
                done()

    def _hash_alone(self, path: Path) -> bool:
        """Hash the model unless another process does. False if the hash is not known afterwards."""
        lock: Lock | None = Lock(self._records.file(path).with_suffix(".hashing"))
        try:
            assert lock is not None  # noqa: S101
            lock.path.parent.mkdir(parents=True, exist_ok=True)
            if not lock.try_take():
                return False  # found in the record at a later look
        except OSError:
            lock = None  # a store that cannot be written to: every process for itself
        try:
            state = state_of_model(path)
            if self.get(path, state):
                return True
            said = hashes_of(path, self._heed)
            # What changed while it was read is hashed at the next refresh.
            if state_of_model(path) != state:
                return False
            self._records.put(path, state, **said)
            return True
        except _Stopped:
            return False
        finally:
            if lock is not None:
                lock.release()

    def _heed(self, block: bytes) -> None:
        if self._stop.is_set():
            raise _Stopped("the studio ends")
