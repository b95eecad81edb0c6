"""What every answer tells the browser: this is Easel's own page, and runs nothing that it did not bring.

An answer that is a page says its own policy (`policy`); all others are inert, so that an uploaded file or an
error that quotes what it was asked never becomes a page of this origin.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

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
_INLINE = re.compile(rb"<script(?:\s[^>]*)?>(.*?)</script>", re.DOTALL)


def policy(page: bytes, *, base: str = "'none'") -> str:
    """The policy of a page of our own: what is in it runs, by its hash, and what is in files of this origin.

    Styles are open, for Gradio writes them into the page; they run nothing, and load nothing from elsewhere.
    """
    scripts = " ".join(("'self'", *_hashes(_INLINE.findall(page))))
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; "
        f"base-uri {base}; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    )


def _hashes(scripts: Iterable[bytes]) -> list[str]:
    return [f"'sha256-{base64.b64encode(hashlib.sha256(one).digest()).decode()}'" for one in scripts if one]


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
