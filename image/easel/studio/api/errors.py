"""Errors as A1111 words them: `{"error", "detail", "body", "errors"}`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from easel.models import (
    Archived,
    FileError,
    Forbidden,
    ModelError,
    NameTaken,
    NeedsToken,
    NoAccess,
    NotThere,
    NotWritable,
    SourceError,
    TooManyRequests,
    UnknownModel,
    Unreachable,
)
from easel.remark import remark, said_by
from easel.studio.api.requests.field_faults import faults_words
from easel.studio.api.requests.refusals import UnknownScript, Unsupported
from easel.studio.api.strict_json import reply
from easel.studio.caller_options import TooMany
from easel.studio.coded_text import remark_header
from easel.studio.engine import (
    EngineError,
    InvalidRequest,
    NoCheckpoint,
    QueueFull,
    Stopped,
    TooMuchForTheDevice,
    TooMuchWork,
    UnknownSampler,
)
from easel.studio.gallery import (
    BoardNameTaken,
    GalleryBusy,
    GalleryError,
    NoSuchBoard,
    NoSuchPicture,
    NoSuchRequest,
    NoSuchShare,
)
from easel.studio.library import NoPicture, NoSuchJob, NoSuchModel, StillWanted, TooManyJobs
from easel.studio.outputs import NotSaved
from easel.studio.owner import NotYours
from easel.studio.png import NotAPicture
from easel.studio.styles import NoSuchStyle, StyleExists, StylesBusy
from easel.studio.wildcard_files import NoSuchWildcard

log = structlog.get_logger(__name__)

# Echoes of what was wrong are for finding it, not for sending it all back.
_MAX_ECHO = 200
_MOST_FAULTS = 20
# The words of Starlette's own.
_NOTHING_THERE = remark("nothing_there", "Not Found")


class FieldFault(BaseModel):
    """One field that cannot be taken, as FastAPI describes it."""

    loc: list[str | int]
    msg: str
    type: str


class ErrorBody(BaseModel):
    """What every 4xx and 5xx of `/sdapi` carries."""

    error: str = Field(description="the kind of error")
    detail: str | list[FieldFault] = Field(description="what is wrong; a list where single fields are")
    body: str = ""
    errors: str = Field(description="what is wrong and what to do about it, in one line")


RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {
        "model": ErrorBody,
        "description": "Unknown sampler, checkpoint or VAE; or a body that is not JSON",
    },
    413: {"model": ErrorBody, "description": "The body is larger than the server takes"},
    422: {
        "model": ErrorBody,
        "description": "A field is of the wrong kind or out of range, or asks for what is not there",
    },
    429: {"model": ErrorBody, "description": "Too many of the caller's pictures are waiting"},
    503: {"model": ErrorBody, "description": "No checkpoint yet, or shutting down"},
}


# Status, and seconds of `Retry-After`; the first that fits counts, and what fits none is a fault of ours.
ANSWERS: tuple[tuple[type[Exception], int, int | None], ...] = (
    (InvalidRequest, 422, None), (TooMuchWork, 422, None), (TooMuchForTheDevice, 422, None),
    (Unsupported, 422, None), (UnknownScript, 422, None), (UnknownSampler, 400, None),
    (UnknownModel, 400, None), (NoSuchModel, 404, None), (NameTaken, 409, None), (StillWanted, 409, None),
    (NotWritable, 507, None), (NotAPicture, 422, None), (FileError, 422, None), (TooMany, 422, None),
    # Of a source never 401: the caller's own token is right, it is the source that wants one.
    (TooManyRequests, 429, 60), (Forbidden, 403, None), (NeedsToken, 403, None), (NoAccess, 403, None),
    (Archived, 410, None), (NotThere, 404, None), (Unreachable, 502, None), (SourceError, 422, None),
    (TooManyJobs, 429, 60), (NoSuchJob, 404, None), (NoPicture, 404, None), (NotYours, 403, None),
    (NoSuchPicture, 404, None), (NoSuchRequest, 404, None), (NoSuchBoard, 404, None),
    (NoSuchShare, 404, None), (BoardNameTaken, 409, None), (GalleryBusy, 503, 2), (GalleryError, 422, None),
    (QueueFull, 429, 10), (NoCheckpoint, 503, 5), (Stopped, 503, 5), (NotSaved, 507, None),
    (NoSuchStyle, 404, None), (NoSuchWildcard, 404, None), (StyleExists, 409, None), (StylesBusy, 503, 2),
)  # fmt: skip

_OURS: tuple[type[Exception], ...] = (
    EngineError, ModelError, NotSaved, NotAPicture, Unsupported, UnknownScript, TooMany, TooManyJobs,
    NoSuchJob, NoPicture, NotYours, GalleryError, NoSuchStyle, StyleExists, StylesBusy,
    NoSuchWildcard,
)  # fmt: skip


def plain_handlers() -> dict[int | type[Exception], Any]:
    """A1111's body for what frameworks raise by themselves, for every application on the port.

    One program asks page and API, and knows one shape.
    """
    return {HTTPException: _http, RequestValidationError: _validation}


def handle_errors(app: FastAPI) -> None:
    """Give every error of the API its status and A1111's body."""
    app.exception_handlers |= plain_handlers()
    for kind in _OURS:
        app.add_exception_handler(kind, _ours)
    app.add_exception_handler(Exception, _unexpected)


def body(error: str, detail: object, errors: str) -> dict[str, object]:
    """A1111's error body."""
    return {"error": error, "detail": detail, "body": "", "errors": errors}


def fault(field: str, message: str) -> list[dict[str, object]]:
    """A `detail` that points at one field of the body, as FastAPI's own do."""
    return [{"type": "value_error", "loc": ["body", field], "msg": message}]


async def answer_to(request: Request, e: Exception) -> Response:
    """A1111's answer to any error, for routes that word their answers in another way."""
    if isinstance(e, HTTPException):
        return await _http(request, e)
    if isinstance(e, RequestValidationError):
        return await _validation(request, e)
    return await (_ours if isinstance(e, _OURS) else _unexpected)(request, e)


async def _http(request: Request, e: Exception) -> Response:
    assert isinstance(e, HTTPException)  # noqa: S101 - tells the type checker what the registration says
    words = _NOTHING_THERE if e.detail == _NOTHING_THERE else e.detail
    headers = {**(e.headers or {}), **remark_header(words)}
    return reply(body("HTTPException", e.detail, str(e.detail)), e.status_code, headers)


async def _validation(request: Request, e: Exception) -> Response:
    assert isinstance(e, RequestValidationError)  # noqa: S101
    # A list of ten thousand wrong things is told by the first of them.
    errors = e.errors()[:_MOST_FAULTS]
    faults = [_fault(one) for one in errors]
    if any(one["type"] == "json_invalid" for one in faults):
        where = str(errors[0].get("ctx", {}).get("error", "")) or faults[0]["msg"]
        return reply(body("RequestValidationError", faults, f"the body is not JSON: {where}"), 422)
    said = faults_words(errors)
    return reply(body("RequestValidationError", faults, str(said)), 422, remark_header(said))


async def _ours(request: Request, e: Exception) -> Response:
    status, pause = next(((code, wait) for kind, code, wait in ANSWERS if isinstance(e, kind)), (500, None))
    if isinstance(e, TooManyRequests | QueueFull) and e.retry_after:
        pause = round(e.retry_after)
    if isinstance(e, NotSaved):
        log.error("picture not saved", reason=str(e))
    elif status == 500:
        log.error("request failed", path=request.url.path, error=type(e).__name__, reason=str(e))
    headers = {"Retry-After": str(pause)} if pause is not None else {}
    words = said_by(e)
    if isinstance(e, NotAPicture):
        words = remark("of_field", "{field} {why}", field=e.field, why=words)
    return reply(_worded(e), status, headers | remark_header(words))


def _worded(e: Exception) -> dict[str, object]:
    name, text = type(e).__name__, str(e)
    match e:
        case InvalidRequest() | TooMuchWork() | Unsupported():
            return body(name, fault(e.field, text), text)
        case UnknownSampler():
            # A1111's words; clients look for them (AI-Render).
            return body("HTTPException", text.partition(":")[0], text)
        case UnknownScript():
            return body("HTTPException", e.words, text)
        case NotAPicture():
            return body(name, fault(e.field, f"{e.field} {text}"), f"{e.field} {text}")
    return body(name, text, text)


async def _unexpected(request: Request, e: Exception) -> Response:
    log.error("request failed", path=request.url.path, error=type(e).__name__, exc_info=e)
    text = log_says_more(e)
    return reply(body(type(e).__name__, text, text), 500, remark_header(text))


def log_says_more(error: BaseException) -> str:
    """All that there is to say of a fault of ours."""
    return remark("log_says_more", "{kind}; the studio's log says more", kind=type(error).__name__)


def _fault(one: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"type": one["type"], "loc": list(one["loc"]), "msg": one["msg"]}
    if "input" in one:
        found["input"] = _short(one["input"])
    return found


def _short(value: object) -> object:
    if isinstance(value, bool | int | float | None):
        return (
            value
            if not isinstance(value, int) or abs(value) < 2**63
            else f"a number of {value.bit_length()} bits"
        )
    if isinstance(value, str):
        return value if len(value) <= _MAX_ECHO else f"{value[:_MAX_ECHO]}… ({len(value)} characters)"
    if isinstance(value, Sequence | dict):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
