"""A lock between processes and machines that share a folder, as a file that its owner touches.

flock does not hold over every NFS, and dies with a mount; a hard link to a name either appears or fails on
all of them (the way that open(2) advises, under O_EXCL). The owner touches the file every few seconds. It is
taken for dead when its process is gone (seen at once on the same machine), or when the file was not touched
for `expiry` seconds, by the file server's own clock, so that clocks of machines need not agree.

Taking over from the dead is a rename by whoever holds an flock on the dead file, so that nobody renames a new
lock away. Where a file system has no flock, the rename is checked afterwards: a new lock that was renamed
away is put back. For the moment between, two may believe that they own it; what is guarded here bears that
(both write the same bytes to the same place, and the end is verified).
"""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import os
import secrets
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

log = structlog.get_logger(__name__)

EXPIRY = 60.0
"""Seconds without a touch after which the owner counts as dead."""
BEAT = 10.0
"""Seconds between touches."""


class Lock:
    """The lock at `path`. Not for two threads at once. `expiry` and `beat` are in seconds."""

    def __init__(self, path: Path, *, expiry: float = EXPIRY, beat: float = BEAT) -> None:
        self.path = path
        self._expiry, self._beat = expiry, beat
        self._nonce = secrets.token_hex(8)
        self._candidate = path.with_name(f"{path.name}.{self._nonce}")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = threading.Event()
        """Set when somebody else has taken the lock: the owner must stop."""

    def try_take(self) -> bool:
        """Take the lock if nobody living has it. Raises OSError where no file can be made."""
        try:
            self._write(self._candidate)
            now = self._candidate.stat().st_mtime
            if not self._claim():
                self._remove_dead(now)
                if not self._claim():
                    return False
        finally:
            self._candidate.unlink(missing_ok=True)
        self._sweep(now)
        self._stop.clear()
        self.lost.clear()
        self._thread = threading.Thread(target=self._touch, name="lock-heartbeat", daemon=True)
        self._thread.start()
        return True

    def release(self) -> None:
        """Give the lock back; one that was lost is left to whom it belongs."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            if _owner(self.path).get("nonce") == self._nonce:
                self.path.unlink(missing_ok=True)

    def _write(self, path: Path) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as out:
            json.dump({"nonce": self._nonce, **_me()}, out)

    def _claim(self) -> bool:
        try:
            os.link(self._candidate, self.path)
        except FileExistsError:
            # A repeated NFS request can fail although the first one did it: the count of links tells.
            return self._candidate.stat().st_nlink == 2
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                raise
            return self._claim_without_links()
        return True

    def _claim_without_links(self) -> bool:
        try:
            self._write(self.path)
        except FileExistsError:
            return False
        return True

    def _remove_dead(self, now: float) -> None:
        """Take a dead owner's lock away. `now` is the file server's time."""
        try:
            dead = self.path.open("rb+")
        except OSError:
            return
        with dead:
            owner, found = _read(dead), os.fstat(dead.fileno())
            if not self._is_dead(owner, now - found.st_mtime) or not _sole_remover(dead):
                return
            # Who was before us here has put a new lock in its place.
            if not _is_at(self.path, found):
                return
            aside = self.path.with_name(f"{self.path.name}.{self._nonce}.dead")
            try:
                os.rename(self.path, aside)
            except FileNotFoundError:
                return
        if _owner(aside) != owner:
            # Without flock, or by NFS's cache: somebody was faster, and this is the new, living lock.
            # Or it is as old as the dead are, and another's sweep has removed it.
            with suppress(FileExistsError, FileNotFoundError):
                os.link(aside, self.path)
        else:
            log.info("lock taken over from a dead owner", lock=self.path.name, host=owner.get("host"))
        aside.unlink(missing_ok=True)

    def _is_dead(self, owner: dict[str, object], age: float) -> bool:
        me = _me()
        if me["machine"] and owner.get("machine") == me["machine"]:
            return _started(owner.get("pid")) != owner.get("started")
        return age > self._expiry

    def _touch(self) -> None:
        while not self._stop.wait(self._beat):
            try:
                owner = _owner(self.path)
                if (owner and owner.get("nonce") != self._nonce) or not self.path.exists():
                    self.lost.set()
                    return
                os.utime(self.path)
            except OSError as error:
                # A file server that is away for a moment; if it is longer, somebody else takes over.
                log.warning("lock not touched", lock=self.path.name, error=error.strerror)

    def _sweep(self, now: float) -> None:
        """Remove what killed processes left of their attempts: on this machine at once."""
        for path in self.path.parent.glob(f"{glob.escape(self.path.name)}.*"):
            with suppress(OSError):
                if self._is_dead(_owner(path), now - path.stat().st_mtime):
                    path.unlink()


def _owner(path: Path) -> dict[str, object]:
    """What the lock says of its owner. Opening also makes NFS ask the server."""
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError:
        return {}


def _read(file: IO[bytes]) -> dict[str, object]:
    try:
        found = json.load(file)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sole_remover(dead: IO[bytes]) -> bool:
    """Whether nobody else is burying this very file; yes where the file system cannot tell."""
    try:
        fcntl.flock(dead, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        log.debug("no flock here", error=error.strerror)
    return True


def _is_at(path: Path, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), found)
    except FileNotFoundError:
        return False


def _me() -> dict[str, object]:
    pid = os.getpid()
    return {"host": socket.gethostname(), "machine": _machine(), "pid": pid, "started": _started(pid)}


def _machine() -> str:
    """Where process numbers mean the same: one boot, one PID namespace. "" where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: object) -> int | None:
    """When the process began, in ticks since boot; None if it is gone or only waits to be buried."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
