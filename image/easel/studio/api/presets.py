"""`/studio/presets`: settings of the page's that a person finds on each device."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.studio.api.gallery import REFUSED, IdText
from easel.studio.api.looks import LOOK, keep_look, look_reply
from easel.studio.looks import Looks
from easel.studio.outputs import Outputs
from easel.studio.owner import owner_of
from easel.studio.presets import Preset, PresetFile
from easel.studio.studio import Studio

_Name = Annotated[str, Query(max_length=1000, description="what the preset is called")]


class PresetSeen(Preset):
    """A preset, and where its look is."""

    look: str | None = Field(None, description="relative to the endpoint's address; null where there is none")


class PresetsAnswer(BaseModel):
    """All of the caller's."""

    presets: list[PresetSeen]


class PresetRequest(BaseModel):
    """Asks to keep settings; `picture` is one of the caller's that shows what they look like."""

    fields: dict[str, Any]
    picture: IdText | None = None


def presets(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio/presets", responses=REFUSED)

    def answer(owner: str) -> PresetsAnswer:
        looks = _looks(studio.outputs, owner)
        found = PresetFile(studio.outputs.owned(owner)).read()
        keys = [looks.key(one.name) for one in found]
        return PresetsAnswer(
            presets=[
                PresetSeen(
                    name=one.name, fields=one.fields, look=f"studio/presets/looks/{key}" if key else None
                )
                for one, key in zip(found, keys, strict=True)
            ]
        )

    @routes.get("")
    def list_presets(request: Request) -> PresetsAnswer:
        """The caller's presets."""
        return answer(owner_of(request.headers))

    @routes.put("")
    def keep_preset(request: Request, asked: PresetRequest, name: _Name) -> PresetsAnswer:
        """Keep settings under a name, in the place of those that were called so."""
        owner = owner_of(request.headers)
        PresetFile(studio.outputs.owned(owner)).keep(Preset(name=name, fields=asked.fields))
        if asked.picture is not None:
            keep_look(studio, owner, _looks(studio.outputs, owner), name, asked.picture)
        return answer(owner)

    @routes.delete("")
    def forget_preset(request: Request, name: _Name) -> PresetsAnswer:
        """One preset less."""
        owner = owner_of(request.headers)
        PresetFile(studio.outputs.owned(owner)).forget(name)
        _looks(studio.outputs, owner).forget(name)
        return answer(owner)

    @routes.get("/looks/{key}", response_class=Response, responses=LOOK)
    def preset_look(request: Request, key: str) -> Response:
        """A small picture that was drawn with a preset."""
        return look_reply(_looks(studio.outputs, owner_of(request.headers)), key)

    return routes


def _looks(outputs: Outputs, owner: str) -> Looks:
    return Looks(outputs.owned(owner) / ".presets")
