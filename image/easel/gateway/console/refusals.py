"""What the console refuses: a page for a person, and for its own script the words in their language beside
the English of every program's `detail`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from easel.gateway import pages
from easel.gateway.access import ForwardedRequest
from easel.gateway.language import language_of
from easel.remark import remark

NONE = remark("none", "none")
"""In the place of names, where there are none."""


def refused(request: Request, status: int, words: str, headers: dict[str, str] | None = None) -> Response:
    """An error to whoever asks."""
    if not request.url.path.startswith("/console/"):
        return pages.error(status, words, headers)
    reader = language_of(request.headers)
    if ForwardedRequest(request.method, request.url.path, request.headers).navigation:
        return pages.refusal(reader, status, words, headers)
    return pages.error(status, words, headers, words=reader.sentence(words))
