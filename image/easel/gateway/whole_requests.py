"""Reads what is left of a request's body before it is answered.

Who answers without having read it ends the connection; the other side, which is still writing, loses the
answer with it: Caddy said 502 where the gateway had said 403.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MOST = 8 << 20
"""Bytes: more is no request of the gateway's own, and its sender may lose the answer."""
_SECONDS = 5.0


class WholeRequests:
    """The application, which may refuse without looking at bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        ended = False

        async def taken() -> Message:
            nonlocal ended
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def given(message: Message) -> None:
            left = _MOST if message["type"] == "http.response.start" else 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    while not ended and left > 0:
                        left -= len((await taken()).get("body", b""))
            await send(message)

        await self._app(scope, taken, given)


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
