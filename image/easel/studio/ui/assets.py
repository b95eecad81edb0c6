"""The page's files, as the browser gets them: below an address that names the state of all of them.

`/page/<state>/first.js` never changes, so browsers keep it for ever, and what it imports by relative
addresses is of the same state: no cache mixes two. Another state is another address; the old one is gone, and
a tab that asks for it loads itself again (app.js).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from easel.models import walk
from easel.studio.ui.bundle import BUNDLE, VENDOR, bundled, linked

STYLES = "first.css"
"""The styles of the first place in one file, in the order in which they build on each other."""
_FIRST_STYLES = ("style/base.css", "style/create.css", "style/prompt.css")
_WEB = Path(__file__).parent / "web"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
_FOREVER = "private, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file of the page, and the same for browsers that take gzip."""

    content: bytes
    packed: bytes
    media_type: str

    @classmethod
    def of(cls, name: str, content: bytes) -> Asset:
        """A file called `name`."""
        return cls(content, gzip.compress(content, 9), _TYPES[Path(name).suffix])


@cache
def assets() -> dict[str, Asset]:
    """All files by their path, made once: a studio serves the page that it started with."""
    return {name: Asset.of(name, content) for name, content in _files()}


def _files() -> Iterator[tuple[str, bytes]]:
    paths = sorted(here / name for here, _, names in walk(_WEB) for name in names)
    found = {path.relative_to(_WEB).as_posix(): path.read_bytes() for path in paths}
    modules = {name: content.decode() for name, content in found.items() if name.endswith(".js")}
    bundle, taken = bundled(modules, "app.js")
    yield BUNDLE, bundle.encode()
    yield STYLES, b"\n".join(found[name] for name in _FIRST_STYLES)
    for name, content in found.items():
        if name in taken or name in _FIRST_STYLES:
            continue
        later = name in modules and not name.startswith(VENDOR)
        yield name, linked(name, modules[name], taken).encode() if later else content


@cache
def state() -> str:
    """Twelve digits that are others when any file is another."""
    whole = hashlib.sha256()
    for name, asset in assets().items():
        whole.update(f"{name}\0{len(asset.content)}\0".encode() + asset.content)
    return whole.hexdigest()[:12]


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
