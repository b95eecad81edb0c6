"""Who asks: what the gateway vouches for, and nothing else. Everything behind this reads a name that is true.

A replica listens on a port that others can reach, and headers are lost and forged on their way; so the
caller's name comes from a signed assertion (`easel.assertion`) and replaces whatever the request said.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from easel.assertion import (
    AUDIENCE_VARIABLE,
    HEADER,
    KEYS_VARIABLE,
    OPEN_VARIABLE,
    USER_HEADER,
    KeyFile,
    NotVouched,
    Verifier,
)
from easel.studio.security_headers import SecurityHeaders

log = structlog.get_logger(__name__)
_ASSERTION = HEADER.lower().encode()
_USER = USER_HEADER.lower().encode()
_OURS = b"x-easel-"
_REFUSED = "this port is for the gateway alone: use the endpoint's own address"
# Who asks a path that needs no assertion. It may do what a visitor may.
_NOBODY = "anonymous/unknown"
# What the gateway calls itself, which no caller can be called.
_GATEWAY = "@gateway"
# For it alone: what everybody does, added up, is the operator's to see.
_METRICS = "/metrics"


class AuthenticationMiddleware:
    """An ASGI application in front of another one: 403 without a genuine assertion, WebSockets closed.

    Without a `verifier` no gateway is in front, and everything belongs to whoever started the studio. `free`
    are paths that are answered without an assertion too.
    """

    def __init__(self, app: ASGIApp, verifier: Verifier | None, free: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._verifier = verifier
        self._free = free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            user = self._user(scope)
            if user not in (None, _GATEWAY) and scope["path"].rstrip("/") == _METRICS:
                raise NotVouched("metrics are for the gateway, which answers its operator with them")
        except NotVouched as reason:
            log.warning("refused", path=scope["path"], reason=str(reason))
            await _refuse(scope, receive, send)
            return
        # In any spelling: who knows whether the next reader takes `_` for `-`.
        headers = [
            (name, value)
            for name, value in scope["headers"]
            if not name.lower().replace(b"_", b"-").startswith(_OURS)
        ]
        if user is not None:
            headers.append((_USER, user.encode("ascii")))
        await self._app({**scope, "headers": headers}, receive, send)

    def _user(self, scope: Scope) -> str | None:
        if self._verifier is None:
            return None
        shown = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == _ASSERTION]
        if not shown and scope["type"] == "http" and scope["path"] in self._free:
            return _NOBODY
        return self._verifier.user(shown)


def authenticated(
    app: ASGIApp, endpoint: str, environment: MutableMapping[str, str]
) -> AuthenticationMiddleware:
    """`app` behind what the environment says of a gateway. What it says is taken out: no child needs it."""
    keys = environment.pop(KEYS_VARIABLE, None)
    audience = environment.pop(AUDIENCE_VARIABLE, "") or endpoint
    free = frozenset(environment.pop(OPEN_VARIABLE, "").split())
    verifier = None if keys is None else Verifier(KeyFile(Path(keys)), audience)
    return AuthenticationMiddleware(app, verifier, free)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": _REFUSED})
        return
    body = {"error": "Forbidden", "detail": _REFUSED, "body": "", "errors": _REFUSED}
    await SecurityHeaders(JSONResponse(body, 403))(scope, receive, send)
