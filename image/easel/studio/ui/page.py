"""The page: what its fields and buttons do. What is on it is in layout.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from easel.studio.studio import Studio
from easel.studio.ui.civitai_tab import beside_models
from easel.studio.ui.draw import Drawing
from easel.studio.ui.fields import Fields
from easel.studio.ui.layout import PageLayout

# No event has a script of its own (`js=`): Gradio makes such by eval, which the page's policy forbids.
# Nothing of this is an API: that is /sdapi/v1. Events run beside each other, however many people there are.
_EVENT: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": None, "show_progress": "hidden"}


def build(studio: Studio) -> gr.Blocks:
    """The page of one studio, for everybody: who looks at it is told by each request's headers."""
    fields = Fields(studio)
    blocks = gr.Blocks(title="Easel", analytics_enabled=False, fill_width=True)
    with blocks as page, beside_models():
        on = PageLayout()
        for text, button in on.examples:
            button.click(partial(str, text), outputs=on.prompt, queue=False, **_EVENT)
        _draw(page, on, Drawing(studio))
        _fill(on, fields)
        _open(page, on, fields)
    page.queue(default_concurrency_limit=None)
    return page


def _draw(page: gr.Blocks, on: PageLayout, drawing: Drawing) -> None:
    asked = [on.checkpoint, on.vae, *on.form]
    result = [on.stage, on.gallery, on.paths, on.parameters, on.prompt, on.interrupt]
    on.generate.click(drawing.generate, asked, result, trigger_mode="once", **_EVENT).then(
        lambda found: found[0] if found else "", on.paths, on.shown, queue=False, **_EVENT
    )
    on.interrupt.click(drawing.interrupt, queue=False, **_EVENT)
    page.unload(drawing.leave)


def _fill(on: PageLayout, fields: Fields) -> None:
    """What fills fields from other fields, and from pictures."""
    filled, size = [on.checkpoint, on.vae, *on.form], [on.width, on.height]
    on.swap.click(lambda w, h: (h, w), size, size, queue=False, **_EVENT)
    on.random.click(lambda: -1, outputs=on.seed, queue=False, **_EVENT)
    on.reuse.click(fields.seed_of, on.shown, on.seed, queue=False, **_EVENT)
    on.use.click(fields.from_picture, on.shown, filled, **_EVENT)
    on.read.click(fields.from_prompt, [on.prompt, on.shown], filled, **_EVENT)
    on.take.click(fields.from_text, on.said, filled, **_EVENT)
    on.gallery.select(fields.select, on.paths, [on.shown, on.parameters], queue=False, **_EVENT)


def _open(page: gr.Blocks, on: PageLayout, fields: Fields) -> None:
    """What a tab begins with, and what is chosen from."""
    models, chosen = [on.checkpoint, on.vae, on.networks], [on.width, on.height, on.prompt, on.tries]
    picture = [on.gallery, on.paths, on.shown, on.parameters]
    page.load(fields.open, None, [*models, *chosen, *picture, on.stage, on.generate], **_EVENT)
    gr.on([on.reload.click, on.look.click], fields.reload, [on.checkpoint, on.vae], models, **_EVENT)
    on.vae.input(fields.choose_vae, on.vae, on.vae, **_EVENT)
    on.checkpoint.input(fields.choose, [on.checkpoint, on.width, on.height], chosen, **_EVENT)
