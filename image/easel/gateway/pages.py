"""What the door itself says: pages for people in their language, for programs English JSON in A1111's error
shape."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jinja2
from starlette.responses import HTMLResponse, JSONResponse, Response

from easel.gateway.language import Language

_HERE = Path(__file__).parent
_TEMPLATES = jinja2.Environment(
    # Each room keeps its own beside its handlers; here is what all extend.
    loader=jinja2.FileSystemLoader([_HERE / "templates", *sorted(_HERE.glob("*/templates"))]),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# Refusals that have a title of their own in texts/*.json.
_TITLED = frozenset({401, 403, 404, 413, 429, 500, 503})
_PRIVATE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with that a browser hides the origin of the sign-in form, which we check.
    "Referrer-Policy": "same-origin",
}


def page(
    template: str, speaks: Language, status: int = 200, headers: dict[str, str] | None = None, **values: Any
) -> Response:  # fmt: skip
    """A page from a room's `templates/`. Only its own style and script run: each has this answer's nonce."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    text = _TEMPLATES.get_template(template).render(nonce=nonce, speaks=speaks, t=speaks.markup, **values)
    own = {"Content-Security-Policy": policy, "X-Frame-Options": "DENY", "Content-Language": speaks.code}
    return HTMLResponse(text, status, {**_PRIVATE, **own, **(headers or {})})


def enter(location: str, *cookies: str) -> Response:
    """On to another place, with cookies; where from is told to nobody."""
    response = Response(status_code=303, headers={"Cache-Control": "no-store", "Location": location})
    response.headers["Referrer-Policy"] = "no-referrer"
    for cookie in cookies:
        response.headers.append("Set-Cookie", cookie)
    return response


def data(content: Any, status: int = 200) -> Response:
    """A JSON answer that no cache keeps."""
    return JSONResponse(content, status, _PRIVATE)


def error(status: int, detail: str, headers: dict[str, str] | None = None, **more: str) -> Response:
    """An error as A1111 shapes it, which its clients know how to show; `more` is for those that know it."""
    kind = HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")
    body = {"error": kind, "detail": detail, "body": "", "errors": detail, **more}
    return JSONResponse(body, status, {**_PRIVATE, **(headers or {})})


def refusal(
    reader: Language | None, status: int, detail: str, headers: dict[str, str] | None = None, **more: str
) -> Response:  # fmt: skip
    """An error for whoever asks: a page for `reader`, a person who waits for one; without, as a program knows
    it."""
    if reader is None:
        return error(status, detail, headers, **more)
    title = f"refused.{status}" if status in _TITLED else "refused.other"
    return page("refused.html", reader, status, headers, title=title, words=detail)
