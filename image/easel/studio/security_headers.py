"""What every answer tells the browser: this is Easel's own page, and runs nothing that it did not bring.

An answer that is a page says its own policy (`policy`); all others are inert, so that an uploaded file or an
error that quotes what it was asked never becomes a page of this origin.
"""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "Content-Security-Policy"
INERT = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
_ALL = {
    POLICY: INERT,
    "X-Content-Type-Options": "nosniff",
    # As the door's: with `no-referrer` a browser hides the origin, too.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_INLINE = {
    kind: re.compile(rf"<{kind}(?:\s[^>]*)?>(.*?)</{kind}>".encode(), re.DOTALL)
    for kind in ("script", "style")
}


def policy(page: bytes) -> str:
    """The policy of a page of our own: files of this origin, and what stands in it, by its hash."""
    return (
        f"default-src 'none'; script-src {_sources(page, 'script')}; style-src {_sources(page, 'style')}; "
        "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _sources(page: bytes, kind: str) -> str:
    digests = [hashlib.sha256(inline).digest() for inline in _INLINE[kind].findall(page) if inline]
    return " ".join(("'self'", *(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)))


class SecurityHeaders:
    """ASGI middleware around everything that answers: adds what an answer does not say itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALL.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, told)
