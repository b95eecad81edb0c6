"""Puts the page into the application: files of this studio, nothing fetched from anywhere."""

from __future__ import annotations

import gzip
from functools import cache
from string import Template

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from easel.studio.security_headers import POLICY
from easel.studio.ui.assets import Asset, answer, assets, imported, route, state

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page runs and shows what came in its own files; there is nothing inline, and no eval."""


def mount(app: FastAPI) -> None:
    """Serve the page at `/` of `app`, and its files."""
    app.router.routes.append(route())
    app.router.routes.append(Route("/", _page, methods=["GET", "HEAD"]))


def _page(request: Request) -> Response:
    # Asked for again each time: it is a kilobyte, and names the state of everything else.
    return answer(_shell(), request, {"Cache-Control": "no-cache", POLICY: PAGE_POLICY})


@cache
def _shell() -> Asset:
    """index.html, with the address of its files, and all modules named that the first place needs: a browser
    that learns of them one from the other would wait for each in turn."""
    tree = f"page/{state()}"
    preloads = "\n".join(f'<link rel="modulepreload" href="{tree}/{name}">' for name in imported("app.js"))
    page = Template(assets()["index.html"].content.decode()).substitute(tree=tree, preloads=preloads).encode()
    return Asset(page, gzip.compress(page, 9), assets()["index.html"].media_type)
