"""The console's side of the door: who asks is what the door vouches for, and what they may see follows."""

from __future__ import annotations

import re

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from easel.assertion import HEADER, NotVouched, Verifier
from easel.gateway import pages
from easel.gateway.access.oidc import is_member
from easel.gateway.console.operator_api import USER
from easel.gateway.console.pages import shown_to_members

_log = structlog.get_logger("easel.gateway")
# Its token lies in a file of a machine that watches others: it should open no more than it needs.
_SCRAPER = re.compile(r"prometheus(-.*)?")


class ConsoleGuard:
    """ASGI middleware: everything below `/console` needs an assertion for the console, and has its user in
    the scope. Before any route is looked for, so that none can be without."""

    def __init__(self, app: ASGIApp, verifier: Verifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and (scope["path"] + "/").startswith("/console/"):
            refusal = self._admit(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> Response | None:
        try:
            user = self._verifier.user(Headers(scope=scope).getlist(HEADER))
        except NotVouched as reason:
            _log.warning("refused at the console", reason=str(reason))
            return pages.error(403, "this is for those whom the console's door let in")
        if is_member(user) and not shown_to_members(scope["method"], scope["path"]):
            return pages.error(403, "members see the console; a link or a token of it does the rest")
        if _SCRAPER.fullmatch(user) and not scope["path"].startswith("/console/api/metrics"):
            return pages.error(403, "a token that is called prometheus reads /api/metrics, and nothing else")
        scope[USER] = user
        return None
