"""A person's pictures on the page: which there are, what they say, and what a text means for the fields."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from easel.studio.api.requests.options_table import OPTIONS, same
from easel.studio.infotext import Infotext, parse
from easel.studio.infotext_request import request_from_infotext
from easel.studio.png import NotAPicture, read_texts
from easel.studio.studio import Studio

SHOWN = 48


def recent(studio: Studio, owner: str) -> list[str]:
    """Paths of the newest saved pictures, newest first."""
    return [str(path) for path in studio.outputs.recent(owner, SHOWN)]


def text_of(path: str | Path) -> str:
    """The infotext of a picture file; empty where there is none or no such file."""
    try:
        return read_texts(Path(path).read_bytes()).get("parameters", "")
    except (OSError, NotAPicture):
        return ""


def understood(text: str) -> Infotext | None:
    """A text as an infotext, None when there are no parameters in it."""
    found = parse(text)
    return found if found.parameters else None


def field_values(studio: Studio, found: Infotext) -> tuple[dict[str, Any], list[str]]:
    """Values for the page's fields by their names (form.py, `checkpoint` and `vae`), and sentences on what is
    not here or not drawn."""
    said, notes = request_from_infotext(studio, found)
    values = {
        name: said[theirs]
        for name, theirs in _FROM_API.items()
        if theirs in said
        and not (theirs in {"prompt", "negative_prompt"} and not said[theirs] and not found.prompt)
    }
    settings = said["override_settings"]
    if "sd_model_checkpoint" in settings:
        values["checkpoint"] = settings["sd_model_checkpoint"]
    if "sd_vae" in settings or not found.parameters.get("VAE"):
        values["vae"] = settings.get("sd_vae", "Automatic")
    return values, [*notes, *_without_field(said)]


def _without_field(said: dict[str, Any]) -> Iterator[str]:
    """A sentence on what a text says that the API would follow and the page has no field for."""
    settings = said["override_settings"]
    rest = {name: said[name] for name in said if name not in (*_FROM_API.values(), "override_settings")}
    rest |= {
        name: value
        for name, value in settings.items()
        if name not in {"sd_model_checkpoint", "sd_vae"} and not same(value, OPTIONS[name].value)
    }
    if rest:
        shown = ", ".join(f"{name} {value}" for name, value in rest.items())
        yield f"There are no fields for {shown}: set them as options, or send the text to the API."


_FROM_API = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "sampler": "sampler_name",
    "schedule_type": "scheduler",
    "steps": "steps",
    "cfg_scale": "cfg_scale",
    "width": "width",
    "height": "height",
    "seed": "seed",
}
