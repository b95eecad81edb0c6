"""API and page as one application."""

from __future__ import annotations

from fastapi import FastAPI

from easel.studio.studio import Studio


def create_app(studio: Studio) -> FastAPI:
    """The whole studio over HTTP. Imports FastAPI and Gradio, which takes seconds."""
    from easel.studio.api import create_api
    from easel.studio.api.edge import Edge
    from easel.studio.ui import mount

    app = create_api(studio)
    mount(app, studio)
    app.add_middleware(Edge)
    return app
