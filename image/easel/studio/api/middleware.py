"""What happens to every API request before its route: size limit, slashes, kind of body."""

from __future__ import annotations

import asyncio

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from easel.remark import remark
from easel.studio.api.errors import body
from easel.studio.api.openai.errors import reworded
from easel.studio.api.strict_json import reply
from easel.studio.coded_text import remark_header

MAX_BODY = 64 * 1024 * 1024
# A body over the limit is read and thrown away, so that a client which reads its answer only after it sent
# everything gets one; but not for ever.
_MAX_DRAIN = 1024 * 1024 * 1024
_MAX_DRAIN_SECONDS = 60.0

_OPENAI = "/v1/"
_OURS = ("/sdapi/", "/internal/", "/easel/", "/studio/", "/sd_extra_networks/", "/jobs", _OPENAI)


class ApiMiddleware:
    """ASGI middleware around the application. Of the page's requests it looks at the size only.

    Changes a request's scope in place: who counts requests looks into it.
    """

    def __init__(self, app: ASGIApp, *, max_body: int = MAX_BODY) -> None:
        self._app = app
        self._max = max_body

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
            await _drain(receive)
            await self._refuse(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._max:
                    await _drain(receive)
                    raise HTTPException(413, self._words())
            return message

        await self._app(scope, counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = self._words()
        answer = reply(body("HTTPException", text, text), 413, remark_header(text))
        await (reworded(answer) if scope["path"].startswith(_OPENAI) else answer)(scope, receive, send)

    def _words(self) -> str:
        words = "the body is larger than the {most} MB that this server takes"
        return remark("body_too_large", words, most=self._max // 2**20)


def _see_as_json(scope: Scope) -> None:
    """Take the request for JSON, whatever a program calls it: `curl -d` says that it is a form, others
    nothing.

    Not for browsers: a page of any origin may send forms and plain text without asking first, and JSON only
    after asking.
    """
    sent = dict(scope["headers"])
    kind = sent.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if (
        kind.endswith(b"json")
        or kind.startswith(b"multipart/")
        or b"origin" in sent
        or b"sec-fetch-site" in sent
    ):
        return
    others = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    scope["headers"] = [*others, (b"content-type", b"application/json")]


async def _drain(receive: Receive) -> None:
    left = _MAX_DRAIN
    try:
        async with asyncio.timeout(_MAX_DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        return
