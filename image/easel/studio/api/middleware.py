"""What happens to every API request before its route: limits of its body, slashes, kind of body."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from easel.studio.api.errors import body
from easel.studio.api.held_bodies import HeldBodies
from easel.studio.api.limited_body import STALL, LimitedBody, drain, too_large
from easel.studio.api.openai.errors import reworded
from easel.studio.api.strict_json import reply
from easel.studio.coded_text import remark_header
from easel.studio.owner import HEADER, LOCAL

MAX_BODY = 64 * 1024 * 1024
# They go to the disk piece by piece, and have rules of their own.
_UPLOADS = "/files/uploads"
_OPENAI = "/v1/"
_OURS = ("/sdapi/", "/internal/", "/easel/", "/studio/", "/sd_extra_networks/", "/jobs", _OPENAI)


class ApiMiddleware:
    """ASGI middleware around the application. Of the page's requests it looks at the body's limits only.

    Changes a request's scope in place: who counts requests looks into it.
    """

    def __init__(
        self, app: ASGIApp, *, max_body: int = MAX_BODY, held: HeldBodies | None = None, stall: float = STALL
    ) -> None:
        self._app = app
        self._max, self._stall = max_body, stall
        self._held = held or HeldBodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not scope["path"].startswith(_OURS):
            await self._limited(scope, receive, send)
            return
        if len(scope["path"]) > 1 and scope["path"].endswith("/"):
            # A1111's clients write "/sdapi/v1/txt2img/"; a redirect would lose some of them their body.
            scope["path"] = scope["path"].rstrip("/")
        _see_as_json(scope)
        await self._limited(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = next((value for key, value in scope["headers"] if key == b"content-length"), b"")
        if declared.isdigit() and int(declared) > self._max:
            await drain(receive)
            await self._refuse(scope, receive, send)
            return
        upload, headers = scope["path"].startswith(_UPLOADS), dict(scope["headers"])
        sent = LimitedBody(receive, self._max, stall=None if upload else self._stall)
        if not upload:
            sent.held_by(self._held, headers.get(HEADER.encode(), LOCAL.encode()).decode("latin-1"))
        if _kind(headers).endswith(b"json"):
            sent.is_json()
        try:
            await self._app(scope, sent.receive, send)
        finally:
            sent.close()

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = too_large(self._max)
        answer = reply(body("HTTPException", text, text), 413, remark_header(text))
        await (reworded(answer) if scope["path"].startswith(_OPENAI) else answer)(scope, receive, send)


def _see_as_json(scope: Scope) -> None:
    """Take the request for JSON, whatever a program calls it: `curl -d` says that it is a form, others
    nothing.

    Not for browsers: a page of any origin may send forms and plain text without asking first, and JSON only
    after asking.
    """
    sent = dict(scope["headers"])
    kind = _kind(sent)
    if (
        kind.endswith(b"json")
        or kind.startswith(b"multipart/")
        or b"origin" in sent
        or b"sec-fetch-site" in sent
    ):
        return
    others = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    scope["headers"] = [*others, (b"content-type", b"application/json")]


def _kind(headers: dict[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
