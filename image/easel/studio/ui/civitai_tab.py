"""The Civitai tab: an address in, a model that can be chosen out.

Its fields speak to `/studio/models` themselves (models.js), so that a download outlives the tab that began
it, and what strangers wrote is only ever set as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from easel.studio.ui import upload_tab
from easel.studio.ui.markup import markup


@contextmanager
def beside_models() -> Iterator[None]:
    """What is built within this is the first tab, and the Civitai tab stands beside it."""
    with gr.Tabs(elem_id="tabs"):
        with gr.Tab("Draw", id="draw", elem_id="tab-draw"):
            yield
        with gr.Tab("Civitai", id="civitai", elem_id="tab-civitai"):
            markup("<div><easel-models></easel-models></div>", "civitai")
        upload_tab.tab()
