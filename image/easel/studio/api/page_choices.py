"""`GET /config`: what A1111's page lets one choose from.

A1111's page is Gradio's, which describes itself there. Programs read lists from it that the API had not in
their day: AIYA the upscalers of hires fix (the API has them in two lists), older ones checkpoints, samplers
and LoRAs. Only those lists are here, each under A1111's `elem_id`, as texts: there is no such page.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from easel.models import Kind
from easel.studio.engine import SAMPLERS, SCHEDULE_TYPES, upscalers
from easel.studio.engine.imaging import LATENT_UPSCALE_MODES
from easel.studio.owner import owner_of
from easel.studio.studio import Studio
from easel.studio.styles import Styles

# Of Gradio, as in A1111 1.10: classes that programs make of the answer have a place for it.
_GRADIO = "3.41.2"


class PageList(BaseModel):
    """What a list is called, and what it offers."""

    elem_id: str
    label: str
    choices: list[str]
    name: str = "dropdown"
    visible: bool = True


class PageComponent(BaseModel):
    """A list of the page."""

    id: int
    type: str = "dropdown"
    props: PageList


class PageChoices(BaseModel):
    """Lists only."""

    version: str = Field(_GRADIO, description="of Gradio, as A1111 1.10 has it")
    mode: str = "blocks"
    components: list[PageComponent]


def page_choices(studio: Studio) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.get("/config")
    def config(request: Request) -> PageChoices:
        """What A1111's page lets one choose from, for programs that read it there: upscalers, samplers,
        checkpoints."""
        lists = _lists(studio, owner_of(request.headers))
        return PageChoices(
            components=[
                PageComponent(id=number, props=PageList(elem_id=name, label=label, choices=[*choices]))
                for number, (name, label, choices) in enumerate(lists, 1)
            ]
        )

    return routes


def _lists(studio: Studio, owner: str) -> list[tuple[str, str, Sequence[str]]]:
    """By A1111's `elem_id`: label and choices."""
    store = studio.engine.store
    checkpoints = [one.title for one in store.checkpoints()]
    pixels = [one.name for one in upscalers(store)]
    both = {
        "sampling": ("Sampling method", [one.name for one in SAMPLERS]),
        "scheduler": ("Schedule type", [one.label for one in SCHEDULE_TYPES]),
        "styles": ("Styles", [*Styles(studio.outputs, owner).known]),
    }
    return [
        ("setting_sd_model_checkpoint", "Stable Diffusion checkpoint", checkpoints),
        ("setting_sd_vae", "SD VAE", ["Automatic", "None", *(one.name for one in store.vaes())]),
        ("setting_sd_lora", "Add network to prompt", ["None", *(f.stem for f in store.files(Kind.LORA))]),
        *(
            (f"{tab}_{name}", label, choices)
            for tab in ("txt2img", "img2img")
            for name, (label, choices) in both.items()
        ),
        ("txt2img_hr_upscaler", "Upscaler", [*LATENT_UPSCALE_MODES, *pixels]),
        ("extras_upscaler_1", "Upscaler 1", pixels),
        ("extras_upscaler_2", "Upscaler 2", pixels),
    ]
