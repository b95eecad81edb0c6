"""The gateway's routes. Three callers, three ways to know them: Caddy by its key (`/auth`, `/door`), the
operator by a token (`/api`), and whoever came through to the console by the door's assertion (`/console`)."""

from __future__ import annotations

import hmac

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from easel.assertion import Verifier
from easel.gateway import pages
from easel.gateway.access import OPERATOR, ForwardedRequest
from easel.gateway.console import CONSOLE_HEADER, USER, ConsoleGuard, ConsolePages, MetricsApi, OperatorApi
from easel.gateway.door import ForwardAuth, Handler, MemberRoutes, NamedRequests
from easel.gateway.errors import (
    GATEWAY_MISTAKE,
    NOTHING_HERE,
    GatewayError,
    TokenConflict,
    TokenRefused,
    UnknownEndpoint,
)
from easel.gateway.language import Language, language_of
from easel.gateway.whole_requests import WholeRequests


def app(
    door: ForwardAuth, members: MemberRoutes, api: OperatorApi, metrics: MetricsApi, console: ConsolePages,
    operator_token: str, verifier: Verifier,
) -> Starlette:  # fmt: skip
    """The ASGI application."""

    def operator(handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            shown = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(shown, f"Bearer {operator_token}".encode()):
                words = "this is for the operator: send the token of run/gateway.json as Bearer"
                return pages.error(401, words)
            request.scope[USER] = OPERATOR
            return await handler(request)

        return guarded

    def said_by_console(handler: Handler) -> Handler:
        async def marked(request: Request) -> Response:
            response = await handler(request)
            response.headers[CONSOLE_HEADER] = "1"
            return response

        return marked

    routes = [
        Route("/auth/{endpoint}", door.through_caddy(door.auth)),
        Route("/door/{endpoint}/signin", door.through_caddy(door.sign_in), methods=["GET", "POST"]),
        Route("/door/{endpoint}/waking", door.through_caddy(door.waking)),
        Route("/door/{endpoint}/member", door.through_caddy(members.depart)),
        Route("/door/{endpoint}/member/callback", door.through_caddy(members.arrive)),
        Route("/door/{endpoint}/signout", door.through_caddy(members.sign_out), methods=["GET", "POST"]),
    ]
    shared: list[tuple[str, Handler, str]] = [
        ("/api/status", api.get_status, "GET"),
        ("/api/tokens", api.get_tokens, "GET"),
        ("/api/tokens", api.post_token, "POST"),
        ("/api/tokens/{endpoint}/{name}", api.delete_token, "DELETE"),
        ("/api/sessions", api.end_sessions, "DELETE"),
        ("/api/audit", api.get_audit, "GET"),
        ("/api/events", api.get_events, "GET"),
        ("/api/logs/{endpoint}/{replica}", api.get_logs, "GET"),
        ("/api/metrics", metrics.get_own, "GET"),
        ("/api/metrics/targets", metrics.get_targets, "GET"),
        ("/api/metrics/{endpoint}/{replica}", metrics.get_replica, "GET"),
        ("/api/endpoints/{endpoint}/pass", api.post_pass, "POST"),
        ("/api/secret/rotation", api.post_rotation, "POST"),
        ("/api/endpoints/{endpoint}/wake", api.post_wake, "POST"),
        ("/api/endpoints/{endpoint}/sleep", api.post_sleep, "POST"),
    ]
    for path, handler, method in shared:
        routes.append(Route(path, operator(handler), methods=[method]))
        routes.append(Route(f"/console{path}", said_by_console(handler), methods=[method]))
    for path, handler in console.routes():
        routes.append(Route(f"/console{path}", handler))
    refused = {error: api.refused for error in (UnknownEndpoint, TokenRefused, TokenConflict, GatewayError)}
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(WholeRequests),
            Middleware(NamedRequests),
            Middleware(ConsoleGuard, verifier=verifier),
        ],
        exception_handlers={**refused, 404: _nothing, 405: _nothing, 500: _broken},
    )


async def _broken(request: Request, error: Exception) -> Response:
    return pages.refusal(_reader(request), 500, GATEWAY_MISTAKE, {"Retry-After": "5"})


async def _nothing(request: Request, error: Exception) -> Response:
    return pages.refusal(_reader(request), getattr(error, "status_code", 404), NOTHING_HERE)


def _reader(request: Request) -> Language | None:
    """Who waits for a page of the console; None for a program, and for who came by no door."""
    asked = ForwardedRequest(request.method, request.url.path, request.headers)
    return language_of(request.headers) if asked.navigation and USER in request.scope else None
