"""API and page as one application."""

from __future__ import annotations

import os

from fastapi import FastAPI

from easel.models import quota_of
from easel.studio.studio import Studio


def create_app(studio: Studio) -> FastAPI:
    """The whole studio over HTTP. Imports FastAPI and all routes, which takes a second."""
    from easel.studio.api import create_api
    from easel.studio.api.middleware import ApiMiddleware
    from easel.studio.files.routes import Files
    from easel.studio.metrics import RequestObservation, RouteLabels
    from easel.studio.security_headers import SecurityHeaders
    from easel.studio.ui import mount

    app = create_api(studio)
    files = Files(studio.engine.store, studio.outputs, studio.activity, quota=quota_of(os.environ))
    app.router.routes.extend(files.routes())
    mount(app)
    app.add_middleware(ApiMiddleware)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(
        RequestObservation, metrics=studio.metrics.requests, labels=RouteLabels(app.router.routes)
    )
    return app
