"""What is on the page, from top to bottom. What it does is in page.py."""

from __future__ import annotations

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
from easel.studio.example_prompts import STARTER_EXAMPLES
from easel.studio.ui.gallery_component import PictureGallery
from easel.studio.ui.markup import markup


class PageLayout:
    """The page's components. Made where Gradio is told to build (`with gr.Blocks()`)."""

    def __init__(self) -> None:
        self.paths = gr.State([])
        self.shown = gr.State("")
        self._models()
        self._words()
        self._examples()
        self._networks()
        with gr.Row(elem_id="desk"):
            with gr.Column(scale=1, min_width=320, elem_id="settings"):
                self._settings()
            with gr.Column(scale=1, min_width=320, elem_id="pictures"):
                self._pictures()

    def _models(self) -> None:
        with gr.Row(elem_id="top", equal_height=True):
            self.checkpoint = gr.Dropdown(
                label="Checkpoint", choices=[], elem_id="checkpoint", scale=3, min_width=200
            )
            self.vae = gr.Dropdown(label="VAE", choices=[], elem_id="vae", scale=1, min_width=140)
            self.reload = gr.Button("Reload", elem_id="reload", size="sm", scale=0, min_width=90)

    def _words(self) -> None:
        with gr.Row(elem_id="words"):
            with gr.Column(scale=4, min_width=300):
                self.prompt = _text("Prompt", "prompt", 3, 8, "What do you want to see?")
                self.negative = _text("Negative prompt", "negative", 2, 6, "What should not be in it")
            with gr.Column(scale=1, min_width=180, elem_id="actions"):
                # Until the fields are filled: at once, it would draw in a size that is not the checkpoint's.
                self.generate = gr.Button(
                    "Generate", variant="primary", size="lg", elem_id="generate", interactive=False
                )
                self.interrupt = gr.Button(
                    "Interrupt", variant="stop", size="lg", elem_id="interrupt", interactive=False
                )
                self.read = gr.Button("Read parameters", size="sm", elem_id="read")

    def _examples(self) -> None:
        with gr.Row(elem_id="examples", visible=False) as self.tries:
            self.examples = [
                (
                    text,
                    gr.Button(
                        text, size="sm", elem_classes="example", elem_id=f"example-{number}", min_width=60
                    ),
                )
                for number, text in enumerate(STARTER_EXAMPLES)
            ]

    def _networks(self) -> None:
        with gr.Accordion("LoRAs and embeddings", open=False, elem_id="networks"):
            self.networks = markup("", "cards")
            self.look = gr.Button("Reload", size="sm", elem_id="reload-networks")

    def _settings(self) -> None:
        with gr.Row():
            self.sampler = gr.Dropdown(
                [one.name for one in SAMPLERS], value="Euler a", label="Sampling method", min_width=140
            )
            self.schedule = gr.Dropdown(
                [one.label for one in SCHEDULE_TYPES], value="Automatic", label="Schedule type", min_width=140
            )
        self.steps = gr.Slider(1, MAX_STEPS, 20, step=1, label="Sampling steps", elem_id="steps")
        with gr.Row(elem_id="size"):
            with gr.Column(scale=4, min_width=200):
                self.width = gr.Slider(MIN_SIDE, MAX_SIDE, 512, step=8, label="Width", elem_id="width")
                self.height = gr.Slider(MIN_SIDE, MAX_SIDE, 512, step=8, label="Height", elem_id="height")
            self.swap = gr.Button("Swap", size="sm", scale=0, min_width=70, elem_id="swap")
        with gr.Row():
            self.count = gr.Slider(1, MAX_BATCH_COUNT, 1, step=1, label="Batch count", min_width=140)
            self.size = gr.Slider(1, MAX_BATCH_SIZE, 1, step=1, label="Batch size", min_width=140)
        self.cfg = gr.Slider(1, 30, 7, step=0.5, label="CFG scale", elem_id="cfg")
        with gr.Row(elem_id="seed-row", equal_height=True):
            self.seed = gr.Number(-1, label="Seed (-1 is random)", precision=0, elem_id="seed", min_width=140)
            self.random = gr.Button("Random", size="sm", scale=0, min_width=84, elem_id="random")
            self.reuse = gr.Button("Reuse", size="sm", scale=0, min_width=84, elem_id="reuse")
        with gr.Accordion("Read parameters from a picture file", open=False):
            markup("<div><easel-read></easel-read></div>", "file")
            self.said = gr.Textbox(visible="hidden", elem_id="said", label="Parameters of a file")
            self.take = gr.Button("Take them", visible="hidden", elem_id="take")

    def _pictures(self) -> None:
        self.stage = markup("", "stage")
        self.gallery = PictureGallery(
            label="Your pictures", elem_id="gallery", preview=True, object_fit="contain", columns=4,
            height=560, buttons=["download", "fullscreen"], interactive=False, format="png",
        )  # fmt: skip
        self.parameters = gr.Textbox(
            label="Parameters of this picture", lines=3, max_lines=10, interactive=False,
            buttons=["copy"], elem_id="parameters",
        )  # fmt: skip
        self.use = gr.Button("Use these parameters", size="sm", elem_id="use")

    @property
    def form(self) -> list[gr.Component]:
        """The fields, in the order of form.py."""
        return [
            self.prompt, self.negative, self.sampler, self.schedule, self.steps, self.cfg, self.width,
            self.height, self.count, self.size, self.seed,
        ]  # fmt: skip


def _text(label: str, elem_id: str, lines: int, most: int, placeholder: str) -> gr.Textbox:
    return gr.Textbox(label=label, lines=lines, max_lines=most, elem_id=elem_id, placeholder=placeholder)
