"""Gives each request its id, in whatever is answered: Caddy hands on what `/auth` answers with."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from easel.request_ids import HEADER, request_id_of


class NamedRequests:
    """ASGI middleware: `X-Request-Id` in every answer, the caller's own where it is sane."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = request_id_of(scope["headers"])

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (HEADER.lower().encode(), name.encode())]
            await send(message)

        await self._app(scope, receive, named)
