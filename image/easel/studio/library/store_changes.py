"""Tells that the store is another: whoever brought a model in, here, on another replica, or by hand.

Nobody is told by the file system (models come over NFS too), so somebody looks: at the folders' times of
change every few seconds, which is a handful of questions, and at the files only where one is another. Nobody
looks while nobody listens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from easel.models import Kind, Store, preview_of, state_beside, walk
from easel.studio.library.previews import changed_at

log = structlog.get_logger(__name__)

EVERY = 3.0
"""Seconds between two looks."""

Told = Callable[[], None]
"""Is called on a thread of its own, and must return at once."""


class StoreChanges:
    """Thread-safe."""

    def __init__(self, store: Store, every: float = EVERY) -> None:
        self._store, self._every = store, every
        self._lock = threading.Lock()
        self._listeners: dict[object, Told] = {}
        self._wake = threading.Event()
        self._watcher: threading.Thread | None = None

    def listen(self, told: Told) -> Callable[[], None]:
        """Call `told` after each change from now on, and perhaps once without one at the beginning.

        What this returns ends it.
        """
        key = object()
        with self._lock:
            self._listeners[key] = told
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="store-changes", daemon=True)
                self._watcher.start()

        def stop() -> None:
            with self._lock:
                self._listeners.pop(key, None)
            self._wake.set()

        return stop

    @contextmanager
    def told(self, told: Told) -> Iterator[None]:
        """Listen for as long as this lasts."""
        stop = self.listen(told)
        try:
            yield
        finally:
            stop()

    def look(self) -> None:
        """Look now: somebody here has changed something."""
        self._wake.set()

    def _watch(self) -> None:
        self._store.refresh()
        folders, files = self._folders(), self._files()
        # What came between somebody's question and this first look would never be told.
        self._tell()
        while True:
            self._wake.wait(self._every)
            asked = self._wake.is_set()
            self._wake.clear()
            with self._lock:
                if not self._listeners:
                    # Under the lock, so that who listens right now starts another.
                    self._watcher = None
                    return
            now = self._folders()
            if now == folders and not asked:
                continue
            folders = now
            self._store.refresh()
            # Downloads write their journals in the same folders ten times a second: the files tell.
            seen = self._files()
            if seen != files:
                files = seen
                self._tell()

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners.values())
        for told in listeners:
            try:
                told()
            except Exception:
                # One who cannot be told keeps it from nobody else.
                log.exception("not told of new models")

    def _folders(self) -> dict[Path, int]:
        found: dict[Path, int] = {}
        for kind in Kind:
            for folder, inner, _ in walk(self._store.folder(kind), follow=True):
                inner[:] = [one for one in inner if not one.startswith(".")]
                try:
                    found[folder] = folder.stat().st_mtime_ns
                except OSError:
                    continue  # taken away meanwhile
        return found

    def _files(self) -> Hashable:
        return tuple(
            (file.path, file.size, file.mtime, state_beside(file.path), changed_at(preview_of(file.path)))
            for kind in Kind
            for file in self._store.files(kind)
        )
