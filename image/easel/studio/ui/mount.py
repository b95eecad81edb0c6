"""Puts the page into the application: nothing fetched from anywhere, nobody's files open to others."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Read by Gradio while it is imported: no analytics, no version check, own folder for what passes through.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="easel-page-"))

import gradio as gr
from fastapi import FastAPI

from easel.studio.api.errors import plain_handlers
from easel.studio.studio import Studio
from easel.studio.ui import models, upload
from easel.studio.ui.guard import Guard
from easel.studio.ui.page import build
from easel.studio.ui.theme import THEME

_HERE = Path(__file__).parent
# Pictures to read parameters from; a PNG of the largest size with room to spare.
MAX_UPLOAD = "32mb"


def _head() -> str:
    style, script = ((_HERE / name).read_text() for name in ("page.css", "page.js"))
    return f"<style>{style}</style><script>{script}</script>"


def mount(app: FastAPI, studio: Studio) -> None:
    """Serve the page at `/` of `app`."""
    studio.outputs.folder.mkdir(parents=True, exist_ok=True)
    # Saved pictures are shown from where they are; Guard sees to it that only their owner gets them.
    gr.set_static_paths([studio.outputs.folder])
    gr.mount_gradio_app(
        app,
        build(studio),
        "/",
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=THEME,
        head=_head() + models.head() + upload.head(),
        app_kwargs={"exception_handlers": plain_handlers()},
    )
    app.add_middleware(Guard, outputs=studio.outputs)
