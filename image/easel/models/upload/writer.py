"""Takes the bytes of one upload: in order, hashed as they come, refused as soon as they are no model's."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from easel.models.disk import FULL, flush, free_bytes, write_at
from easel.models.errors import FileError
from easel.models.hashes import Digests
from easel.models.header import Header
from easel.models.model_header import LookAgain, read_arrived_header
from easel.models.source_errors import DiskFull, NotWritable
from easel.models.upload.journal import Upload, UploadJournals

# A kill costs at most as much as this: what is written through and noted is sent once.
SAVE_EVERY_BYTES = 16 << 20
SAVE_EVERY_SECONDS = 1.0


class UploadWriter:
    """Writes from where `upload` stands. `digests` are of all bytes before that, None if they are not known.

    With a `checksum` nothing counts before `close(keep=True)`: the sender has yet to be compared with.
    """

    def __init__(
        self, journals: UploadJournals, upload: Upload, digests: Digests | None, *, checksum: str = ""
    ) -> None:
        self.upload = upload
        self.digests = Digests() if upload.offset == 0 else digests
        self._journals = journals
        self._position = upload.offset
        self._sum = hashlib.new(checksum) if checksum else None
        self._saved_at = time.monotonic()
        self._look = LookAgain()
        path = journals.part(upload.id)
        try:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            self._file = os.open(path, flags, 0o600)
            # What was written and not noted is sent again.
            os.ftruncate(self._file, upload.offset)
        except OSError as error:
            raise refusal(upload, path, error) from error

    @property
    def position(self) -> int:
        """The offset of the next byte."""
        return self._position

    @property
    def sums(self) -> bool:
        """Whether a checksum has yet to be compared."""
        return self._sum is not None

    @property
    def checksum(self) -> bytes:
        """The checksum of the bytes taken here."""
        return self._sum.digest() if self._sum is not None else b""

    def take(self, block: bytes) -> None:
        """Take the next bytes. Raises FileError for too many, DiskFull, NotWritable."""
        if len(block) > self.upload.length - self._position:
            raise FileError(self.upload.name, f"more is sent than the {self.upload.length} bytes announced")
        try:
            write_at(self._file, block, self._position)
        except OSError as error:
            raise refusal(self.upload, self._journals.part(self.upload.id), error) from error
        if self.digests is not None:
            self.digests.update(block)
        if self._sum is not None:
            self._sum.update(block)
        self._position += len(block)
        behind = self._position - self.upload.offset
        waited = time.monotonic() - self._saved_at
        if self._sum is None and (behind >= SAVE_EVERY_BYTES or waited >= SAVE_EVERY_SECONDS):
            self.save()

    def save(self) -> None:
        """Write through what is there, then the journal that says so. Raises DiskFull, NotWritable."""
        if self._file < 0:
            return
        try:
            flush(self._file)
            self.upload = self.upload.but(offset=self._position)
            self._journals.write(self.upload)
        except OSError as error:
            raise refusal(self.upload, self._journals.part(self.upload.id), error) from error
        self._saved_at = time.monotonic()

    def drop(self) -> None:
        """Forget what was taken since the last save: it is not what was sent."""
        self.digests = None if self.upload.offset else Digests()
        self._position = self.upload.offset
        with suppress(OSError):
            os.ftruncate(self._file, self.upload.offset)

    def end(self) -> None:
        """It was refused for good: nothing of it is kept."""
        self.digests = None
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def header(self) -> Header | None:
        """The header, once: when it has come. Raises NotSafetensors, CutShort, LyingHeader: no model ever."""
        if self.upload.checked:
            return None
        if not self._look.is_due(self._position, self.upload.length):
            return None
        # From the file: a header may have a hundred megabytes, and is not read twice into memory.
        with open(self._journals.part(self.upload.id), "rb") as file:
            header = read_arrived_header(file, self._position, self.upload.length, self.upload.name)
        if header is not None:
            self.upload = self.upload.but(checked=True)
        return header


def refusal(upload: Upload, path: Path, error: OSError) -> DiskFull | NotWritable:
    """What the disk said, in words."""
    if error.errno in FULL:
        return DiskFull(upload.name, upload.length - upload.offset, free_bytes(path.parent), upload.offset)
    return NotWritable(
        upload.name, f"cannot be written ({error.strerror}): check who may write to the store of models"
    )
