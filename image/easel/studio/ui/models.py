"""The Civitai tab: an address in, a model that can be chosen out.

Its fields speak to `/studio/models` themselves (models.js), so that a download outlives the tab that began
it, and what strangers wrote is only ever set as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr

from easel.studio.ui import upload

_HERE = Path(__file__).parent


@contextmanager
def beside_models() -> Iterator[None]:
    """What is built within this is the first tab, and the Civitai tab stands beside it."""
    with gr.Tabs(elem_id="tabs"):
        with gr.Tab("Draw", id="draw", elem_id="tab-draw"):
            yield
        with gr.Tab("Civitai", id="civitai", elem_id="tab-civitai"):
            gr.HTML("<easel-models></easel-models>", elem_id="civitai", js_on_load=None)
        upload.tab()


def head() -> str:
    """Style and script of the tab, for the page's head."""
    style, script = ((_HERE / name).read_text() for name in ("models.css", "models.js"))
    return f"<style>{style}</style><script>{script}</script>"
