"""The page's own styles and scripts, as files: what is written into a page does not run."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

_HERE = Path(__file__).parent
_STYLES = ("page.css", "models.css", "upload.css")
_SCRIPTS = ("page.js", "read.js", "models.js", "upload.js")


def head() -> str:
    """For the page's head. Another state of a file has another address: no cache mixes two."""
    styles = (f'<link rel="stylesheet" href="{_address(name)}">' for name in _STYLES)
    scripts = (f'<script src="{_address(name)}"></script>' for name in _SCRIPTS)
    return "".join((*styles, *scripts))


def route() -> Route:
    """`/page/NAME`."""
    return Route("/page/{name}", _file, methods=["GET", "HEAD"])


def _address(name: str) -> str:
    return f"page/{name}?{hashlib.sha256((_HERE / name).read_bytes()).hexdigest()[:12]}"


def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in (*_STYLES, *_SCRIPTS):
        return PlainTextResponse("Not Found", 404)
    return FileResponse(_HERE / name, headers={"Cache-Control": "private, max-age=86400"})
