"""What can go wrong on a model's way in: at its source, on the wire, on the disk.

Every message says what, where, and what to do next. None holds a token or the query of an address.
"""

from __future__ import annotations

from easel.models.errors import FileError, ModelError
from easel.models.sizes import gigabytes, part_of_whole
from easel.remark import remark


class SourceError(ModelError):
    """The source does not give the file. `address` is as people may read it, without secrets."""

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(remark("of_source", "{address}: {problem}", address=address, problem=problem))
        self.address = address
        self.problem = problem


class BadAddress(SourceError):
    """This is no address of a model, or one of a kind that may not be used here."""


class Forbidden(SourceError):
    """The address leads to where the asker may not send this server: private, loopback or metadata."""


class NeedsToken(SourceError):
    """The source wants to know who asks (401)."""


class NoAccess(SourceError):
    """The source knows who asks and says no (403)."""


class EarlyAccess(NoAccess):
    """Only for those who paid, until a date (Civitai's 403)."""


class NotThere(SourceError):
    """No such model, version, file or object (404)."""


class Archived(NotThere):
    """It was there and was taken away (410)."""


class TooManyRequests(SourceError):
    """The source wants a pause (429). `retry_after` is in seconds, None if it did not say."""

    def __init__(self, address: str, problem: str, retry_after: float | None = None) -> None:
        super().__init__(address, problem)
        self.retry_after = retry_after


class Unreachable(SourceError):
    """The source cannot be reached, or breaks off again and again. What has arrived is kept."""


class KeepsChanging(SourceError):
    """The file became another one while it was downloaded, more than once."""


class NotAModel(SourceError):
    """What came is a web page, an error message, a pickle or something else than safetensors."""


class Unsafe(SourceError):
    """A scanner found something in it, or it is offered as a pickle only."""


class WrongHash(FileError):
    """The bytes are not those that were promised; they have been thrown away."""

    def __init__(self, name: str, found: str, wanted: str, whose: str) -> None:
        super().__init__(
            name,
            remark(
                "wrong_hash",
                "its SHA-256 is {found}, but {whose} says {wanted}; the bytes were thrown away: "
                "download it again, or check where that number comes from",
                found=found,
                whose=whose,
                wanted=wanted,
            ),
        )


class Altered(FileError):
    """A model of the store is not what came in: the disk has lost something."""

    def __init__(self, name: str, found: str, wanted: str) -> None:
        super().__init__(
            name,
            remark(
                "altered",
                "its SHA-256 is {found}, but its record says {wanted}: it has changed on the disk without "
                "being written; take it away (`easel models remove`) and bring it in again",
                found=found,
                wanted=wanted,
            ),
        )


class DiskFull(FileError):
    """There is no room for the file. `need` and `free` are in bytes."""

    def __init__(self, name: str, need: int | None, free: int, have: int = 0) -> None:
        more = remark("does_not_fit", "does not fit")
        if need is not None:
            more = remark("needs_more", "needs {size} more", size=gigabytes(need))
        kept = ""
        if have:
            kept = remark("are_kept", "; {size} are kept, so that it can go on", size=gigabytes(have))
        super().__init__(
            name,
            remark(
                "disk_full",
                "the disk is full: it {more}, free are {free}; "
                "make room (`easel models remove NAME`) and start it again{kept}",
                more=more,
                free=gigabytes(free),
                kept=kept,
            ),
        )


class NotWritable(FileError):
    """The store cannot be written to."""


class NameTaken(FileError):
    """There is another file of this name."""


class BadName(FileError):
    """A name or folder that would lead out of its place, or that a store cannot hold."""


class Interrupted(FileError):
    """Somebody asked to stop. What has arrived is kept."""

    def __init__(self, name: str, have: int, need: int | None) -> None:
        said = part_of_whole(have, need) if need else gigabytes(have)
        words = "stopped at {size}; the same command goes on from there"
        super().__init__(name, remark("stopped_at", words, size=said))
