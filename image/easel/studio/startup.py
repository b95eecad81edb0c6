"""What listens from the first moment on: says how far the start is, then hands over to the studio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from easel.remark import as_json, remark
from easel.studio.security_headers import SecurityHeaders

if TYPE_CHECKING:
    from easel.studio.engine import Engine


_BUILDING = remark("building_page", "building the page")


class StartupApp:
    """An ASGI application in front of another one that takes seconds to import."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._app: ASGIApp | None = None
        self._fault = ""

    @asynccontextmanager
    async def serving(self, app: Starlette) -> AsyncIterator[None]:
        """`app` answers within this context, and its background work runs."""
        async with app.router.lifespan_context(app):
            self._app = app
            yield

    def fail(self, why: str) -> None:
        """Say that there will be no app, and why."""
        self._fault = why

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            accepts = dict(scope["headers"]).get(b"accept", b"")
            await SecurityHeaders(self._wait(scope["path"], b"text/html" in accepts))(scope, receive, send)

    def _wait(self, path: str, browser: bool) -> Response:
        now = self._engine.status()
        if path.rstrip("/") == "/easel/load":
            # The engine may be ready before the page is; the studio is ready when both are.
            phase = "failed" if self._fault else "loading" if now.phase == "ready" else now.phase
            detail = self._fault or (now.detail if phase == now.phase else _BUILDING)
            return JSONResponse(
                {
                    "phase": phase,
                    "detail": detail,
                    "remark": as_json(detail) if detail else None,
                    "running": 0,
                    "queued": 0,
                    "idle_seconds": now.idle_seconds,
                }
            )
        words = self._fault or "the studio is starting; try again in a few seconds"
        headers = {"Retry-After": "3"}
        if browser:
            again = "" if self._fault else '<meta http-equiv="refresh" content="2">'
            page = f"<!doctype html><meta charset=utf-8>{again}<title>Easel</title><p>{escape(words)}"
            return HTMLResponse(page, 503, headers)
        return JSONResponse({"error": "Starting", "detail": words, "body": "", "errors": words}, 503, headers)
