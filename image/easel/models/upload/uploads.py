"""The uploads of one store: begun, gone on with, finished by one rename, or thrown away."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from easel.models.disk import flush_folder, free_bytes
from easel.models.errors import FileError
from easel.models.fetch.partial_journal import lock_of
from easel.models.hashes import Digests, digest_file
from easel.models.intake.add import kind_of
from easel.models.intake.destination import destination, file_name
from easel.models.kind import Kind
from easel.models.lock import Lock
from easel.models.model_header import read_model_header_from
from easel.models.quota import StoreQuota
from easel.models.sizes import gigabytes
from easel.models.source_errors import BadName, DiskFull, NameTaken, NotWritable, WrongHash
from easel.models.store import Store
from easel.models.upload.errors import (
    AlreadyThere,
    TooManyUploads,
    UnknownUpload,
    UploadBusy,
    UploadFailed,
    WrongOffset,
)
from easel.models.upload.journal import Upload, UploadJournals, UploadState, new_id
from easel.models.upload.writer import UploadWriter, refusal
from easel.remark import remark

log = structlog.get_logger(__name__)

KEPT = 7 * 24 * 3600.0
"""Seconds that an upload is kept after its last byte."""
MOST_OPEN = 20
"""Unfinished uploads of one person."""
_DIGITS = re.compile(r"[0-9a-fA-F]{64}")


class Uploads:
    """Uploads into `store`. `quota` is in bytes, None for none. Thread-safe, and beside other replicas."""

    def __init__(self, store: Store, *, quota: int | None = None, kept: float = KEPT) -> None:
        self._store, self._kept = store, kept
        self._quota = StoreQuota(store.root, quota)
        self._journals = UploadJournals(store.root / ".easel" / "uploads")
        self._lock = threading.Lock()
        # Hashes so far, of uploads that went through this process from their first byte on.
        self._digests: dict[str, tuple[int, Digests]] = {}

    def begin(
        self, owner: str, name: str, length: int, *, kind: Kind | None = None, folder: str = "",
        sha256: str = "", replaces: bool = False, told: str = "",
    ) -> Upload:  # fmt: skip
        """A new upload of `length` bytes; or one's own of the same file and place, told by its hash.

        Raises BadName, NotSafetensors, AlreadyThere, NameTaken, OverQuota, DiskFull, NotWritable,
        TooManyUploads.
        """
        if sha256 and not _DIGITS.fullmatch(sha256):
            raise BadName("sha256", f"{sha256[:80]!r} is no SHA-256: 64 digits of 0-9a-f are")
        # Without a kind the folders are any kind's: they are checked all the same.
        destination(self._store, kind or Kind.CHECKPOINT, folder, name)
        upload = Upload(
            id=new_id(), owner=owner, length=length, name=file_name(name), kind=kind, folder=folder,
            sha256=sha256.lower(), replaces=replaces, told=told, expires=time.time() + self._kept,
        )  # fmt: skip
        self.sweep()
        self._conflict(upload)
        with self._lock, self._alone(self._journals.folder / "begin.lock", upload.name):
            others = [one for one in self._journals.all() if one.state is UploadState.OPEN]
            for one in others:
                # Who was killed before the answer to its beginning arrived comes back without knowing of it.
                if sha256 and _aim(one) == _aim(upload):
                    return one
            if sum(1 for one in others if one.owner == owner) >= MOST_OPEN:
                raise TooManyUploads(MOST_OPEN)
            self._quota.check(upload.name, length, besides=self._replaced(upload))
            room = free_bytes(self._journals.folder) - sum(one.length - one.offset for one in others)
            if length > room:
                raise DiskFull(upload.name, length, max(0, room))
            self._write(upload)
        return upload

    def find(self, owner: str, upload: str) -> Upload:
        """One's own upload. Raises UnknownUpload."""
        found = self._journals.read(upload)
        if found is None or found.owner != owner or found.expires < time.time():
            raise UnknownUpload
        return found

    @contextmanager
    def taking(self, upload: Upload, offset: int, *, checksum: str = "") -> Iterator[UploadWriter]:
        """Go on with it from `offset`. What was taken is kept at the end, unless a `checksum` has to agree.

        Raises WrongOffset, UploadFailed, UploadBusy, NameTaken, DiskFull, NotWritable.
        """
        with self._alone(self._journals.lock(upload.id), upload.name):
            upload = self._fresh(upload)
            if upload.state is UploadState.DONE and offset == upload.length:
                raise WrongOffset(upload.name, offset, upload.length)
            if offset != upload.offset:
                raise WrongOffset(upload.name, offset, upload.offset)
            # Somebody else's may have come in meanwhile: no need to send the rest.
            try:
                self._conflict(upload)
            except FileError as error:
                self._fail(upload, error)
                raise
            at, digests = self._digests.pop(upload.id, (-1, None))
            taking = UploadWriter(
                self._journals, upload, digests if at == upload.offset else None, checksum=checksum
            )
            taking.upload = upload.but(expires=time.time() + self._kept)
            try:
                yield taking
            finally:
                if not checksum:
                    with suppress(FileError):
                        taking.save()
                if taking.digests is not None and taking.position == taking.upload.offset:
                    self._digests[upload.id] = (taking.position, taking.digests)
                taking.close()

    def learn(self, taking: UploadWriter, block: bytes) -> None:
        """Take the next bytes; what they say of the file is kept. Raises FileError; then it has failed."""
        with self._failing(taking):
            taking.take(block)
            if not taking.sums:
                self._look(taking)

    def accept(self, taking: UploadWriter) -> None:
        """What was taken is what its sender's checksum says. Raises FileError; then it has failed."""
        with self._failing(taking):
            # Not before: a wrong bit on the way is no reason to refuse the file for good.
            self._look(taking)
            taking.save()

    def _look(self, taking: UploadWriter) -> None:
        upload = taking.upload
        header = taking.header()
        if header is not None and upload.kind is None:
            taking.upload = taking.upload.but(kind=kind_of(header, upload.name))
            self._conflict(taking.upload)

    @contextmanager
    def _failing(self, taking: UploadWriter) -> Iterator[None]:
        try:
            yield
        except (DiskFull, NotWritable):
            raise
        except FileError as error:
            taking.end()
            self._fail(taking.upload, error)
            raise

    def finish(self, upload: Upload) -> Upload:
        """Check what is whole and let it appear. Raises FileError; after all but UploadBusy, DiskFull and
        NotWritable it has failed. Takes as long as reading the file, if this process did not see it come."""
        with self._alone(self._journals.lock(upload.id), upload.name):
            upload = self._fresh(upload)
            if upload.state is UploadState.DONE or not upload.whole:
                return upload
            try:
                return self._finish(upload)
            except (UploadBusy, DiskFull, NotWritable):
                raise
            except AlreadyThere as same:
                return self._done(upload, same.path, same.sha256)
            except FileError as error:
                self._fail(upload, error)
                raise

    def cancel(self, upload: Upload) -> None:
        """Throw it away. Raises UploadBusy."""
        with self._alone(self._journals.lock(upload.id), upload.name):
            self._digests.pop(upload.id, None)
            self._journals.forget(upload.id)

    def sweep(self) -> int:
        """Throw away what has expired; how many those were."""
        now, gone = time.time(), 0
        for one in self._journals.all():
            if one.expires < now:
                with suppress(UploadBusy, OSError):
                    self.cancel(one)
                    gone += 1
        for path in self._journals.strays(now - self._kept):
            with suppress(OSError):
                path.unlink()
        return gone

    # ── within ───────────────────────────────────────────────────────────────────────────────────

    def _fresh(self, upload: Upload) -> Upload:
        found = self._journals.read(upload.id)
        if found is None:
            raise UnknownUpload
        if found.state is UploadState.FAILED:
            raise UploadFailed(found.name, found.detail)
        return found

    def _finish(self, upload: Upload) -> Upload:
        part = self._journals.part(upload.id)
        if not part.exists() and upload.path:
            return self._after_the_rename(upload)
        try:
            with open(part, "rb") as file:
                header = read_model_header_from(file, os.fstat(file.fileno()).st_size, upload.name)
        except OSError as error:
            raise refusal(upload, part, error) from error
        kind = upload.kind or kind_of(header, upload.name)
        at, digests = self._digests.pop(upload.id, (-1, None))
        if digests is None or at != upload.length:
            digests = digest_file(part)
        if upload.sha256 and digests.sha256 != upload.sha256:
            raise WrongHash(upload.name, digests.sha256, upload.sha256, "its sender")
        upload = upload.but(kind=kind, sha256=digests.sha256)
        target = destination(self._store, kind, upload.folder, upload.name)
        # The lock that downloads to this name take.
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._alone(lock_of(target), upload.name):
            self._conflict(upload, hashing=True)
            upload = upload.but(path=target.relative_to(self._store.root).as_posix())
            self._write(upload)
            try:
                os.replace(part, target)
                flush_folder(target.parent)
            except OSError as error:
                raise refusal(upload, part, error) from error
        self._store.remember(target, source="uploaded", key=f"upload:{upload.id}",
                             sha256=digests.sha256, autov3=digests.autov3)  # fmt: skip
        return self._done(upload, upload.path, digests.sha256)

    def _after_the_rename(self, upload: Upload) -> Upload:
        """A process died between the rename and the note of it."""
        target = self._store.root / upload.path
        try:
            sha256 = self._store.hash_now(target)
        except OSError:
            sha256 = ""
        if not sha256 or sha256 != upload.sha256:
            raise FileError(upload.name, "it came in and was taken away at once; send it again")
        return self._done(upload, upload.path, sha256)

    def _done(self, upload: Upload, path: str, sha256: str) -> Upload:
        done = upload.but(state=UploadState.DONE, path=path, sha256=sha256, expires=time.time() + self._kept)
        self._write(done)
        self._journals.part(upload.id).unlink(missing_ok=True)
        self._digests.pop(upload.id, None)
        self._store.refresh()
        log.info("upload in the store", file=path, bytes=upload.length)
        return done

    def _fail(self, upload: Upload, error: FileError) -> None:
        log.info("upload refused", file=upload.name, why=error.problem)
        self._digests.pop(upload.id, None)
        self._journals.part(upload.id).unlink(missing_ok=True)
        # The bytes are gone, so they count for nothing; the words stay for who asks again.
        with suppress(FileError):
            self._write(upload.but(state=UploadState.FAILED, detail=error.problem))

    def _replaced(self, upload: Upload) -> Path | None:
        """The file whose place it takes."""
        if not upload.replaces or upload.kind is None:
            return None
        return destination(self._store, upload.kind, upload.folder, upload.name)

    def _conflict(self, upload: Upload, *, hashing: bool = False) -> None:
        """Raises AlreadyThere for the same file under this name, NameTaken for another."""
        if upload.kind is None:
            return
        target = destination(self._store, upload.kind, upload.folder, upload.name)
        try:
            size = target.stat().st_size
            known = self._store.record(target).sha256
            if hashing and not known and size == upload.length:
                known = self._store.hash_now(target)
        except OSError:
            return
        path = target.relative_to(self._store.root).as_posix()
        if upload.sha256 and size == upload.length and known == upload.sha256:
            raise AlreadyThere(upload.name, path, known)
        if not upload.replaces and (known or hashing or size != upload.length):
            raise NameTaken(
                upload.name,
                remark(
                    "upload_name_taken",
                    "there is another file of this name ({path}, {size}): give this one another name, or say "
                    "that it may replace that one",
                    path=path,
                    size=gigabytes(size),
                ),
            )

    def _write(self, upload: Upload) -> None:
        try:
            self._journals.write(upload)
        except OSError as error:
            raise refusal(upload, self._journals.folder / "x", error) from error

    @contextmanager
    def _alone(self, path: Path, name: str, patience: float = 10.0) -> Iterator[None]:
        """Nobody else has the lock at `path`. Raises UploadBusy after `patience` seconds, NotWritable."""
        lock = Lock(path)
        until = time.monotonic() + patience
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            while not lock.try_take():
                if time.monotonic() > until:
                    raise UploadBusy(name, "somebody else writes to it at this moment; try again")
                time.sleep(0.05)
        except OSError as error:
            raise NotWritable(
                name, f"cannot be written ({error.strerror}): check who may write to the store of models"
            ) from error
        try:
            yield
        finally:
            lock.release()


def _aim(upload: Upload) -> tuple[object, ...]:
    """Whose it is, what of and where to."""
    return (upload.owner, upload.sha256, upload.length, upload.name, upload.folder, upload.told,
            upload.replaces)  # fmt: skip
