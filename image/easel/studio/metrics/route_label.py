"""What a request is counted as: a route's template. There are no more than routes, whoever asks what."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

UNKNOWN = "unknown"
"""What is no route, and what was refused before one was looked for. Routes of this name count as none."""


class RouteLabels:
    """Knows the templates of `routes`, which are an application's."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._plain = {
            one.endpoint: one.path
            for one in routes
            if isinstance(one, Route) and not isinstance(one, APIRoute)
        }

    def of(self, scope: Scope) -> str:
        """The label of a request that was answered, by what the routing left in its scope."""
        route = scope.get("route")
        if isinstance(route, APIRoute):
            return UNKNOWN if route.name == UNKNOWN else route.path
        endpoint = scope.get("endpoint")
        return UNKNOWN if endpoint is None else self._plain.get(endpoint, UNKNOWN)
