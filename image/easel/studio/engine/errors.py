"""What can go wrong between a request and a picture.

Every message says what, where, what is allowed, what next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from easel.models import FileError
from easel.remark import Remark, remark


class EngineError(Exception):
    """Base of every error the engine raises or reports on a job."""


class InvalidRequest(EngineError):
    """A field of a request is outside of what can be drawn.

    `field` is the field's name as A1111's API spells it, so that a client can point at it.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        # What was counted is said in words, and is nobody's own.
        shown = value if isinstance(value, Remark) else repr(value)
        super().__init__(
            remark(
                "not_allowed",
                "{field} is {value}; allowed: {allowed}",
                about=field,
                field=field,
                value=shown if len(shown) < 80 else shown[:77] + "...",
                allowed=allowed,
            )
        )
        self.field = field
        self.value = value
        self.allowed = allowed


class NoFace(InvalidRequest):
    """No face is seen in a unit's picture, where one is needed: in that of this `number` among `count`."""

    def __init__(self, number: int = 1, count: int = 1) -> None:
        where = remark("no_face", "a picture in which no face is found")
        if count > 1:
            where = remark(
                "no_face_in", "{n} pictures, and in number {number} no face is found", n=count, number=number
            )
        super().__init__(
            "controlnet.image",
            where,
            remark(
                "a_face",
                "a picture that shows a face from the front, neither small nor cut off; "
                "around one that fills the picture leave some room",
            ),
        )


def check_range(field: str, value: float, low: float, high: float) -> None:
    """Raise InvalidRequest for a value outside of `low` to `high`."""
    if not low <= value <= high:  # false for NaN too, and exact for integers of any length
        raise InvalidRequest(field, value, remark("from_to", "{low} to {high}", low=low, high=high))


class UnknownSampler(EngineError):
    """No sampler (or schedule type) has this name."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        near = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = remark("sampler_near", "; did you mean {name}?", name=repr(near[0])) if near else ""
        super().__init__(
            remark(
                "sampler_not_found",
                "{what} not found: {name}{hint} Known: {known}",
                about=what.lower(),
                what=what,
                name=repr(name),
                hint=hint,
                known=", ".join(names),
            )
        )
        self.name = name


class NoCheckpoint(EngineError):
    """There is no checkpoint to draw with."""


class TooMuchWork(EngineError):
    """A request asks for more than one request may.

    `field` is the field of A1111's API by which it is easiest to ask for less.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class TooMuchForTheDevice(EngineError):
    """One picture cannot be drawn on this device; `job_id` says which job asked for it, if known."""

    def __init__(self, message: str, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class OutOfMemory(TooMuchForTheDevice):
    """The device has no room for one picture of this size."""


class UpscalerFailed(TooMuchForTheDevice):
    """An upscaler or a face restorer stumbles over this picture."""


class StepTooLong(TooMuchForTheDevice):
    """A single step of a picture of this size would keep the device from everybody else for too long."""


class QueueFull(EngineError):
    """More pictures wait than the engine accepts; trying again later helps, after `retry_after` seconds where
    that can be told."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


SHUTTING_DOWN = remark("shutting_down", "the studio is shutting down; send the request again in a moment")
SHUT_DOWN = remark(
    "shut_down", "the studio shut down before this was drawn; send the request again in a moment"
)


class Stopped(EngineError):
    """The engine is shutting down and takes no more work; trying again soon helps."""


class OtherArchitecture(FileError):
    """The file was made for another family of models than the checkpoint belongs to."""
