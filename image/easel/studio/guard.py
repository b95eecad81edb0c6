"""Who may ask a replica: whoever shows the key that its gateway gave it.

A replica listens on a port that everybody on its machine can reach, and takes `X-Easel-User` at its word.
"""

from __future__ import annotations

import hmac

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from easel.studio.headers import Headers

# The gateway makes the key at each of its starts, puts it here, and has Caddy send it.
VARIABLE = "EASEL_REPLICA_KEY"
_HEADER = b"x-easel-key"
_REFUSED = "this port is for the gateway alone: use the endpoint's own address"


class Guard:
    """An ASGI application in front of another one: 403 without the key, WebSockets closed."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        shown = dict(scope.get("headers", ())).get(_HEADER, b"")
        if hmac.compare_digest(shown, self._key):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": _REFUSED})
        else:
            body = {"error": "Forbidden", "detail": _REFUSED, "body": "", "errors": _REFUSED}
            await Headers(JSONResponse(body, 403))(scope, receive, send)
