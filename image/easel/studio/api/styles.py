"""`GET /sdapi/v1/prompt-styles`, and styles in a request's prompts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from easel.studio.api.drawing_request import AnyRequest
from easel.studio.api.text_to_image_request import TextToImageRequest
from easel.studio.engine import apply_styles
from easel.studio.owner import owner_of
from easel.studio.settings import is_name
from easel.studio.studio import Studio
from easel.studio.styles import Styles


class StyleItem(BaseModel):
    """A style."""

    name: str
    prompt: str
    negative_prompt: str


def styles(studio: Studio) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.get("/sdapi/v1/prompt-styles")
    def prompt_styles(request: Request) -> list[StyleItem]:
        """The team's styles and the caller's own, which come before the team's of the same name."""
        known = Styles(studio.outputs, owner_of(request.headers)).known
        return [
            StyleItem(name=one.name, prompt=one.prompt, negative_prompt=one.negative_prompt)
            for one in known.values()
        ]

    return routes


def styled(asked: AnyRequest, known: Styles) -> tuple[AnyRequest, list[str]]:
    """The request with its styles in its prompts, and a sentence on those that are not here."""
    names = [name for name in asked.styles if is_name(name)]
    found, missing = known.find(names)
    some = ", ".join(name[:60] for name in missing[:10])
    notes = [f"There are no styles of these names, so they were passed over: {some}."] if missing else []
    if not found:
        return asked, notes
    prompt, negative_prompt = apply_styles(found, asked.prompt, asked.negative_prompt)
    fields = {"prompt": prompt, "negative_prompt": negative_prompt}
    if isinstance(asked, TextToImageRequest):
        hr_prompt, hr_negative_prompt = apply_styles(found, asked.hr_prompt, asked.hr_negative_prompt)
        # What is empty is the first pass's, and has its styles already.
        fields |= {"hr_prompt": hr_prompt} if asked.hr_prompt else {}
        fields |= {"hr_negative_prompt": hr_negative_prompt} if asked.hr_negative_prompt else {}
    return asked.model_copy(update=fields), notes
