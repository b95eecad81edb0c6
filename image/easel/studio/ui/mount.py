"""Puts the page into the application: files of this studio, nothing fetched from anywhere."""

from __future__ import annotations

import gzip
from functools import cache
from string import Template

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from easel.studio.security_headers import POLICY, policy
from easel.studio.ui.assets import Asset, answer, assets, imported, route, state


def mount(app: FastAPI) -> None:
    """Serve the page at `/` of `app`, and its files."""
    app.router.routes.append(route())
    app.router.routes.append(Route("/", _page, methods=["GET", "HEAD"]))


def _page(request: Request) -> Response:
    # Asked for again each time: it is a kilobyte, and names the state of everything else.
    return answer(_shell(), request, {"Cache-Control": "no-cache", POLICY: policy(_shell().content)})


@cache
def _shell() -> Asset:
    """index.html, with the address of its files, and all modules named that the first place needs: a browser
    that learns of them one from the other would wait for each in turn."""
    tree = f"page/{state()}"
    preloads = "\n".join(f'<link rel="modulepreload" href="{tree}/{name}">' for name in imported("app.js"))
    page = Template(assets()["index.html"].content.decode()).substitute(tree=tree, preloads=preloads).encode()
    return Asset(page, gzip.compress(page, 9), assets()["index.html"].media_type)
