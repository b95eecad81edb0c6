"""Every refusal about files as an answer: a status that programs understand, and words for people."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from easel.models import (
    AlreadyThere,
    BadName,
    DiskFull,
    FileError,
    ModelError,
    NameTaken,
    NotSafetensors,
    NotWritable,
    OverQuota,
    TooManyUploads,
    UnknownUpload,
    UploadBusy,
    UploadFailed,
    WrongOffset,
)
from easel.remark import said_by
from easel.studio.coded_text import remark_header
from easel.studio.files.paths import BadPath, NoSuchFile
from easel.studio.owner import NotYours

Handler = Callable[[Request], Awaitable[Response]]


class RequestRefused(Exception):
    """A request that cannot be taken, with its status."""

    def __init__(self, status: int, words: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        self.status, self.headers = status, dict(headers or {})


# The first that fits; 422 for every other fault of a file.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (BadPath, 400), (BadName, 400), (NotYours, 403), (NoSuchFile, 404), (UnknownUpload, 404),
    (WrongOffset, 409), (AlreadyThere, 409), (NameTaken, 409), (UploadFailed, 410), (OverQuota, 413),
    (NotSafetensors, 422), (UploadBusy, 423), (TooManyUploads, 429), (DiskFull, 507), (NotWritable, 507),
    (ModelError, 422),
)  # fmt: skip


def answering(handler: Handler) -> Handler:
    """`handler`, its refusals as answers."""

    @functools.wraps(handler)
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except (RequestRefused, BadPath, NoSuchFile, NotYours, FileError, ModelError) as error:
            return refuse(error)

    return answered


def refuse(error: Exception) -> Response:
    """The answer to one refusal."""
    words = str(error)
    headers = {"Cache-Control": "no-store", "Tus-Resumable": "1.0.0", **remark_header(said_by(error))}
    if isinstance(error, RequestRefused):
        return JSONResponse(_body("Refused", words), error.status, headers | error.headers)
    status = next(code for kind, code in _STATUS if isinstance(error, kind))
    found = _body(type(error).__name__, words)
    if isinstance(error, AlreadyThere):
        found |= {"path": f"models/{error.path}", "sha256": error.sha256}
    if isinstance(error, WrongOffset):
        headers["Upload-Offset"] = str(error.stands)
    if isinstance(error, UploadBusy):
        headers["Retry-After"] = "1"
    return JSONResponse(found, status, headers)


def _body(error: str, words: str) -> dict[str, object]:
    """A1111's error body, as everywhere."""
    return {"error": error, "detail": words, "body": "", "errors": words}
