"""`GET /metrics`, for Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from easel.studio.studio import Studio

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All metrics, as text for Prometheus; as OpenMetrics where `Accept` asks for it",
        "content": {
            kind: {"schema": {"type": "string"}} for kind in ("text/plain", "application/openmetrics-text")
        },
    }
}


def metrics(studio: Studio) -> APIRouter:
    """The route. Looking is no work: the endpoint falls asleep as it would without."""
    routes = APIRouter()

    @routes.get("/metrics", response_class=Response, responses=_TEXT)
    def scrape(request: Request) -> Response:
        """How the studio does, for Prometheus: jobs, pictures, device seconds, requests. Of no person, and of
        no file. Behind a gateway for that gateway alone, at whose `/api/metrics` they are scraped."""
        text, kind = studio.metrics.text(request.headers.get("accept", ""))
        return Response(text, media_type=None, headers={"Content-Type": kind})

    return routes
