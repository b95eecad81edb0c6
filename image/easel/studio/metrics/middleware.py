"""Around everything that answers: a request's id, what it took, and a line of the log."""

from __future__ import annotations

import time

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from easel.request_ids import request_id_of, with_request_id
from easel.studio.metrics.request_metrics import RequestMetrics
from easel.studio.metrics.route_label import RouteLabels
from easel.studio.owner import owner_of

log = structlog.get_logger(__name__)
REQUEST_ID = "request_id"
"""The name by which lines of the log, and what runs within a request, have its id."""
# The caller hung up before there was an answer, as nginx and A1111 have it.
_GONE = 499
# Asked every second or so, by machines: counted, and not told.
_POLLS = ("/metrics", "/easel/load", "/internal/ping")
# And files of the page.
_PAGE = "/page/"


class RequestObservation:
    """ASGI middleware: `X-Request-Id` and `X-Process-Time` in every answer, counted in `metrics`.

    Whoever routes says in the scope where to, so what is within must hand that on as it is, or change it in
    place.
    """

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, labels: RouteLabels) -> None:
        self._app, self._metrics, self._labels = app, metrics, labels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = request_id_of(scope["headers"])
        scope = {**scope, "headers": with_request_id(scope["headers"], name)}
        began = time.perf_counter()
        status, received, sent = 0, 0, 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def told(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", name.encode()),
                    (b"x-process-time", f"{time.perf_counter() - began:.4f}".encode()),
                ]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        with (
            structlog.contextvars.bound_contextvars(**{REQUEST_ID: name}),
            self._metrics.open.track_inprogress(),
        ):
            try:
                await self._app(scope, counted, told)
            finally:
                took = time.perf_counter() - began
                route = self._labels.of(scope)
                self._metrics.count(
                    route, scope["method"], status or _GONE, seconds=took, received=received, sent=sent
                )
                if route not in _POLLS and not route.endswith("/progress") and not route.startswith(_PAGE):
                    _tell(scope, route, status or _GONE, took, received, sent)


def _tell(scope: Scope, route: str, status: int, seconds: float, received: int, sent: int) -> None:
    log.info(
        "request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4),
        received=received, sent=sent, person=owner_of(Headers(scope=scope)),
    )  # fmt: skip
