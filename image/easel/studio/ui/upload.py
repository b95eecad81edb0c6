"""The Upload tab: a zone to drop models on, which go to the store by tus and survive a closed tab.

It speaks to `/files/uploads` itself (upload.js): Gradio's own upload takes a file in one piece.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr

_HERE = Path(__file__).parent


def tab() -> None:
    """The tab, where tabs are being built."""
    with gr.Tab("Upload", id="upload", elem_id="tab-upload"):
        gr.HTML("<easel-upload></easel-upload>", elem_id="upload", js_on_load=None)


def head() -> str:
    """Style and script of the tab, for the page's head."""
    style, script = ((_HERE / name).read_text() for name in ("upload.css", "upload.js"))
    return f"<style>{style}</style><script>{script}</script>"
