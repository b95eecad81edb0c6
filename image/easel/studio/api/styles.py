"""`GET /sdapi/v1/prompt-styles`, and styles in a request's prompts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from easel.studio.owner import owner_of
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
