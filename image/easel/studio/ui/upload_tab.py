"""The Upload tab: a zone to drop models on, which go to the store by tus and survive a closed tab.

It speaks to `/files/uploads` itself (upload.js): Gradio's own upload takes a file in one piece.
"""

from __future__ import annotations

import gradio as gr

from easel.studio.ui.markup import markup


def tab() -> None:
    """The tab, where tabs are being built."""
    with gr.Tab("Upload", id="upload", elem_id="tab-upload"):
        markup("<div><easel-upload></easel-upload></div>", "upload")
