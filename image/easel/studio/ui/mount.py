"""Puts the page into the application: files of this studio, nothing fetched from anywhere."""

from __future__ import annotations

from functools import cache
from string import Template

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from easel.studio.security_headers import POLICY, policy
from easel.studio.ui.assets import Asset, answer, assets, route, state


def mount(app: FastAPI) -> None:
    """Serve the page at `/` of `app`, and its files."""
    app.router.routes.append(route())
    app.router.routes.append(Route("/", _page, methods=["GET", "HEAD"]))


def _page(request: Request) -> Response:
    # Asked for again each time: it is a kilobyte, and names the state of everything else.
    return answer(_shell(), request, {"Cache-Control": "no-cache", POLICY: policy(_shell().content)})


@cache
def _shell() -> Asset:
    """index.html, with the address of its files."""
    name = "index.html"
    page = Template(assets()[name].content.decode()).substitute(tree=f"page/{state()}")
    return Asset.of(name, page.encode())
