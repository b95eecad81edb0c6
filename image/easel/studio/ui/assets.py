"""The page's files, as the browser gets them: below an address that names the state of all of them.

`/page/<state>/app.js` never changes, so browsers keep it for ever, and what it imports by relative addresses
is of the same state: no cache mixes two. Another state is another address; the old one is gone, and a tab
that asks for it loads itself again (app.js).
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_WEB = Path(__file__).parent / "web"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".md": "text/plain; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}
_IMPORT = re.compile(r'^(?:import|export)\b[^;"]*?"(\./|\.\./)([^"]+)";', re.MULTILINE)
_FOREVER = "private, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file of the page, and the same for browsers that take gzip."""

    content: bytes
    packed: bytes
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """All files by their path below `web/`, read once: a studio serves the page that it started with."""
    return {
        path.relative_to(_WEB).as_posix(): Asset(content, gzip.compress(content, 9), _TYPES[path.suffix])
        for path in sorted(_WEB.rglob("*"))
        if path.is_file() and (content := path.read_bytes()) is not None
    }


@cache
def state() -> str:
    """Twelve digits that are others when any file is another."""
    whole = hashlib.sha256()
    for name, asset in assets().items():
        whole.update(f"{name}\0{len(asset.content)}\0".encode() + asset.content)
    return whole.hexdigest()[:12]


def imported(name: str) -> list[str]:
    """The modules that `name` needs before it runs, itself left out, nearest first."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        module = waiting.pop(0)
        for up, path in _IMPORT.findall(assets()[module].content.decode()):
            needed = normpath(join(dirname(module), up + path))
            if needed not in found and needed != name:
                found[needed] = None
                waiting.append(needed)
    return list(found)


def route() -> Route:
    """`/page/STATE/PATH`."""
    return Route("/page/{state}/{path:path}", _file, methods=["GET", "HEAD"])


def _file(request: Request) -> Response:
    asset = assets().get(request.path_params["path"])
    if asset is None or request.path_params["state"] != state():
        raise HTTPException(404, "Not Found", {"Cache-Control": "no-store"})
    return answer(asset, request, {"Cache-Control": _FOREVER})


def answer(asset: Asset, request: Request, headers: dict[str, str]) -> Response:
    """A file in the encoding that the browser takes."""
    headers = {"Content-Type": asset.media_type, "Vary": "Accept-Encoding", **headers}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, headers={"Content-Encoding": "gzip", **headers})
    return Response(asset.content, headers=headers)
