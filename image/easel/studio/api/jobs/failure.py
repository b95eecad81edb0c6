"""What ended a job, in words and as a kind that a page can act on."""

from __future__ import annotations

from starlette.exceptions import HTTPException

from easel.models import FileError, ModelError, UnknownModel
from easel.remark import said_by
from easel.studio.api.errors import log_says_more
from easel.studio.api.jobs.record import TicketError
from easel.studio.api.requests.refusals import UnknownScript, Unsupported
from easel.studio.engine import (
    EngineError,
    InvalidRequest,
    NoCheckpoint,
    OutOfMemory,
    QueueFull,
    Stopped,
    TooMuchForTheDevice,
    TooMuchWork,
    UnknownSampler,
)
from easel.studio.outputs import NotSaved
from easel.studio.png import NotAPicture

_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (QueueFull, "over_quota"), (OutOfMemory, "out_of_memory"), (TooMuchForTheDevice, "too_large"),
    (Stopped, "stopped"), (NoCheckpoint, "no_model"), (UnknownModel, "no_model"), (NotSaved, "not_saved"),
    (InvalidRequest, "invalid"), (TooMuchWork, "invalid"), (Unsupported, "invalid"),
    (UnknownScript, "invalid"), (UnknownSampler, "invalid"), (NotAPicture, "invalid"),
    (HTTPException, "invalid"),
)  # fmt: skip
_OURS = (EngineError, ModelError, NotSaved, NotAPicture, Unsupported, UnknownScript)


def failure(error: BaseException) -> TicketError:
    """The words of an error of ours; of any other that it is a fault of ours."""
    kind = next((kind for base, kind in _KINDS if isinstance(error, base)), "failed")
    if isinstance(error, FileError) and type(error).__name__ == "TooLarge":  # of the engine, with torch
        kind = "out_of_memory"
    field = getattr(error, "field", None)
    if isinstance(error, HTTPException):
        return TicketError.of(error.detail, kind)
    if isinstance(error, _OURS):
        return TicketError.of(said_by(error), kind, field if isinstance(field, str) else None)
    return TicketError.of(log_says_more(error), "failed")
