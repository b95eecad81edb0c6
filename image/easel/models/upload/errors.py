"""What can go wrong while somebody sends a model. Every message says what, where, and what to do next."""

from __future__ import annotations

from easel.models.errors import FileError, ModelError
from easel.remark import remark


class UnknownUpload(ModelError):
    """There is no such upload of this person: cancelled, expired, or never begun."""

    def __init__(self) -> None:
        super().__init__(
            remark(
                "no_such_upload", "there is no such upload: it was cancelled or has expired; begin it again"
            )
        )


class UploadFailed(FileError):
    """The upload ended in a refusal some time ago; `problem` is what was said then."""


class UploadBusy(FileError):
    """Somebody else writes to this upload, or to the name that it will have. Try again in a moment."""


class WrongOffset(FileError):
    """The bytes sent do not begin where the upload stands."""

    def __init__(self, name: str, sent: int, stands: int) -> None:
        super().__init__(name, f"the bytes begin at {sent}, but the upload stands at {stands}: go on there")
        self.stands = stands


class AlreadyThere(FileError):
    """The very same file is in the store. `path` is where, below `models`."""

    def __init__(self, name: str, path: str, sha256: str) -> None:
        super().__init__(name, remark("same_there", "the same file is there already, as {path}", path=path))
        self.path, self.sha256 = path, sha256


class TooManyUploads(ModelError):
    """One person has too many uploads under way."""

    def __init__(self, most: int) -> None:
        super().__init__(
            remark(
                "too_many_uploads",
                "you have {n} unfinished uploads already: finish or cancel one of them first; "
                "what is left alone expires",
                n=most,
            )
        )
