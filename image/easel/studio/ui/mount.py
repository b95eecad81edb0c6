"""Puts the page into the application: nothing fetched from anywhere, no file through Gradio."""

from __future__ import annotations

import os
import tempfile

# Read by Gradio while it is imported: no analytics, no version check, own folder for what passes through.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="easel-page-"))

import gradio as gr
from fastapi import FastAPI
from starlette.routing import Mount

from easel.studio.api.errors import plain_handlers
from easel.studio.studio import Studio
from easel.studio.ui import assets
from easel.studio.ui.gradio_allowlist import GradioAllowlist
from easel.studio.ui.page import build
from easel.studio.ui.theme import THEME


def mount(app: FastAPI, studio: Studio) -> None:
    """Serve the page at `/` of `app`."""
    app.router.routes.append(assets.route())
    page = build(studio)
    gr.mount_gradio_app(
        app,
        page,
        "/",
        footer_links=[],
        run_history=False,
        show_error=True,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=THEME,
        head=assets.head(),
        app_kwargs={"exception_handlers": plain_handlers()},
    )
    mounted = app.router.routes[-1]
    assert isinstance(mounted, Mount)  # noqa: S101 - Gradio has just put itself there
    mounted.app = GradioAllowlist(mounted.app, page)
