"""The routes of the inner listener."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from easel.gateway import pages
from easel.gateway.inner.peer_exchange import HEADER, PeerExchange
from easel.gateway.replicas import Fleet


def inner_app(
    fleets: Mapping[str, Fleet], exchange: PeerExchange, metrics: Callable[[Request], Awaitable[Response]],
    leaving: Callable[[], bool],
) -> Starlette:  # fmt: skip
    """The ASGI application. `leaving`: the gateway ends, and gets no more callers."""

    async def healthz(request: Request) -> Response:
        if leaving():
            return pages.error(503, "the gateway is being stopped")
        return pages.data({"endpoints": len(fleets)})

    async def scale(request: Request) -> Response:
        fleet = fleets.get(request.path_params["endpoint"])
        if fleet is None:
            return pages.error(404, "there is no such endpoint")
        return pages.data(fleet.signal().as_json())

    async def peer(request: Request) -> Response:
        said = exchange.answer(request.headers.get(HEADER, ""), request.query_params.get("since", ""))
        if said is None:
            return pages.error(403, "this is for the team's other gateways")
        return PlainTextResponse(said, headers={"Cache-Control": "no-store"})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/scale/{endpoint}", scale),
            Route("/peer", peer),
            Route("/metrics", metrics),
        ]
    )
