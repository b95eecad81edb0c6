"""The console's side of the door: who asks is what the door vouches for, and what they may see follows."""

from __future__ import annotations

import re

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from easel.assertion import HEADER, NotVouched, Verifier
from easel.gateway.access.oidc import is_member
from easel.gateway.console.operator_api import USER
from easel.gateway.console.pages import shown_to_members
from easel.gateway.console.refusals import refused
from easel.remark import remark

_log = structlog.get_logger("easel.gateway")
# Its token lies in a file of a machine that watches others: it should open no more than it needs.
_NOT_LET_IN = remark("console_not_let_in", "this is for those whom the console's door let in")
_FOR_OPERATORS = remark(
    "console_for_operators", "members see the console; a link or a token of it does the rest"
)
_FOR_METRICS = remark(
    "console_for_metrics", "a token that is called prometheus reads /api/metrics, and nothing else"
)
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
            return refused(Request(scope), 403, _NOT_LET_IN)
        if is_member(user) and not shown_to_members(scope["method"], scope["path"]):
            return refused(Request(scope), 403, _FOR_OPERATORS)
        if _SCRAPER.fullmatch(user) and not scope["path"].startswith("/console/api/metrics"):
            return refused(Request(scope), 403, _FOR_METRICS)
        scope[USER] = user
        return None
