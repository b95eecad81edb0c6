"""The page: what is on it, and what its fields and buttons do."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from easel.studio.engine import (
    MAX_BATCH_COUNT,
    MAX_BATCH_SIZE,
    MAX_SIDE,
    MAX_STEPS,
    MIN_SIDE,
    SAMPLERS,
    SCHEDULE_TYPES,
)
from easel.studio.studio import Studio
from easel.studio.ui.civitai_tab import beside_models
from easel.studio.ui.draw import Drawing
from easel.studio.ui.example_prompts import STARTER_EXAMPLES
from easel.studio.ui.fields import Fields
from easel.studio.ui.gallery_component import PictureGallery
from easel.studio.ui.markup import markup

# No event has a script of its own (`js=`): Gradio makes such by eval, which the page's policy forbids.
# Nothing of this is an API: that is /sdapi/v1. Events run beside each other, however many people there are.
_EVENT: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": None, "show_progress": "hidden"}


def build(studio: Studio) -> gr.Blocks:
    """The page of one studio, for everybody: who looks at it is told by each request's headers."""
    drawing, fields = Drawing(studio), Fields(studio)
    blocks = gr.Blocks(title="Easel", analytics_enabled=False, fill_width=True)
    with blocks as page, beside_models():
        paths = gr.State([])
        shown = gr.State("")
        with gr.Row(elem_id="top", equal_height=True):
            checkpoint = gr.Dropdown(
                label="Checkpoint", choices=[], elem_id="checkpoint", scale=3, min_width=200
            )
            vae = gr.Dropdown(label="VAE", choices=[], elem_id="vae", scale=1, min_width=140)
            reload = gr.Button("Reload", elem_id="reload", size="sm", scale=0, min_width=90)
        with gr.Row(elem_id="words"):
            with gr.Column(scale=4, min_width=300):
                prompt = gr.Textbox(
                    label="Prompt",
                    lines=3,
                    max_lines=8,
                    elem_id="prompt",
                    placeholder="What do you want to see?",
                )
                negative = gr.Textbox(
                    label="Negative prompt",
                    lines=2,
                    max_lines=6,
                    elem_id="negative",
                    placeholder="What should not be in it",
                )
            with gr.Column(scale=1, min_width=180, elem_id="actions"):
                # Until the fields are filled: at once, it would draw in a size that is not the checkpoint's.
                generate = gr.Button(
                    "Generate", variant="primary", size="lg", elem_id="generate", interactive=False
                )
                interrupt = gr.Button(
                    "Interrupt", variant="stop", size="lg", elem_id="interrupt", interactive=False
                )
                read = gr.Button("Read parameters", size="sm", elem_id="read")
        with gr.Row(elem_id="examples", visible=False) as tries:
            for number, text in enumerate(STARTER_EXAMPLES):
                button = gr.Button(
                    text, size="sm", elem_classes="example", elem_id=f"example-{number}", min_width=60
                )
                button.click(partial(str, text), outputs=prompt, queue=False, **_EVENT)
        with gr.Accordion("LoRAs and embeddings", open=False, elem_id="networks"):
            networks = markup("", "cards")
            look = gr.Button("Reload", size="sm", elem_id="reload-networks")
        with gr.Row(elem_id="desk"):
            with gr.Column(scale=1, min_width=320, elem_id="settings"):
                with gr.Row():
                    sampler = gr.Dropdown(
                        [one.name for one in SAMPLERS],
                        value="Euler a",
                        label="Sampling method",
                        min_width=140,
                    )
                    schedule = gr.Dropdown(
                        [one.label for one in SCHEDULE_TYPES],
                        value="Automatic",
                        label="Schedule type",
                        min_width=140,
                    )
                steps = gr.Slider(1, MAX_STEPS, 20, step=1, label="Sampling steps", elem_id="steps")
                with gr.Row(elem_id="size"):
                    with gr.Column(scale=4, min_width=200):
                        width = gr.Slider(MIN_SIDE, MAX_SIDE, 512, step=8, label="Width", elem_id="width")
                        height = gr.Slider(MIN_SIDE, MAX_SIDE, 512, step=8, label="Height", elem_id="height")
                    swap = gr.Button("Swap", size="sm", scale=0, min_width=70, elem_id="swap")
                with gr.Row():
                    count = gr.Slider(1, MAX_BATCH_COUNT, 1, step=1, label="Batch count", min_width=140)
                    size = gr.Slider(1, MAX_BATCH_SIZE, 1, step=1, label="Batch size", min_width=140)
                cfg = gr.Slider(1, 30, 7, step=0.5, label="CFG scale", elem_id="cfg")
                with gr.Row(elem_id="seed-row", equal_height=True):
                    seed = gr.Number(
                        -1, label="Seed (-1 is random)", precision=0, elem_id="seed", min_width=140
                    )
                    random = gr.Button("Random", size="sm", scale=0, min_width=84, elem_id="random")
                    reuse = gr.Button("Reuse", size="sm", scale=0, min_width=84, elem_id="reuse")
                with gr.Accordion("Read parameters from a picture file", open=False):
                    markup("<div><easel-read></easel-read></div>", "file")
                    said = gr.Textbox(visible="hidden", elem_id="said", label="Parameters of a file")
                    take = gr.Button("Take them", visible="hidden", elem_id="take")
            with gr.Column(scale=1, min_width=320, elem_id="pictures"):
                stage = markup("", "stage")
                gallery = PictureGallery(
                    label="Your pictures", elem_id="gallery", preview=True, object_fit="contain", columns=4,
                    height=560, buttons=["download", "fullscreen"], interactive=False, format="png",
                )  # fmt: skip
                parameters = gr.Textbox(
                    label="Parameters of this picture", lines=3, max_lines=10, interactive=False,
                    buttons=["copy"], elem_id="parameters",
                )  # fmt: skip
                use = gr.Button("Use these parameters", size="sm", elem_id="use")

        form = [prompt, negative, sampler, schedule, steps, cfg, width, height, count, size, seed]
        filled = [checkpoint, vae, *form]
        result = [stage, gallery, paths, parameters, prompt, interrupt]
        picture = [gallery, paths, shown, parameters]

        generate.click(drawing.generate, filled, result, trigger_mode="once", **_EVENT).then(
            lambda found: found[0] if found else "", paths, shown, queue=False, **_EVENT
        )
        interrupt.click(drawing.interrupt, queue=False, **_EVENT)
        page.unload(drawing.leave)

        swap.click(lambda w, h: (h, w), [width, height], [width, height], queue=False, **_EVENT)
        random.click(lambda: -1, outputs=seed, queue=False, **_EVENT)
        reuse.click(fields.seed_of, shown, seed, queue=False, **_EVENT)
        use.click(fields.from_picture, shown, filled, **_EVENT)
        read.click(fields.from_prompt, [prompt, shown], filled, **_EVENT)
        take.click(fields.from_text, said, filled, **_EVENT)
        gallery.select(fields.select, paths, [shown, parameters], queue=False, **_EVENT)

        models = [checkpoint, vae, networks]
        opened = [*models, width, height, prompt, tries, *picture, stage, generate]
        page.load(fields.open, None, opened, **_EVENT)
        gr.on([reload.click, look.click], fields.reload, [checkpoint, vae], models, **_EVENT)
        vae.input(fields.choose_vae, vae, vae, **_EVENT)
        checkpoint.input(fields.choose, [checkpoint, width, height], [width, height, prompt, tries], **_EVENT)
    page.queue(default_concurrency_limit=None)
    return page
