"""`/studio/session` and what the page asks beside it: who is there, what there is to draw with, what a text
means."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from easel.models import Kind, ModelError, ModelFile
from easel.remark import said_by
from easel.studio.api.engine_state import EngineState, engine_state
from easel.studio.api.errors import RESPONSES
from easel.studio.api.jobs.async_jobs import AsyncJobs
from easel.studio.api.networks import preview_of_file
from easel.studio.api.options import set_options
from easel.studio.api.scripts.listing import script_infos
from easel.studio.checkpoint_card import CheckpointCard, checkpoint_card
from easel.studio.coded_text import CodedText
from easel.studio.engine import (
    MAX_BATCH_COUNT,
    MAX_BATCH_SIZE,
    MAX_SIDE,
    MAX_STEPS,
    MIN_SIDE,
    SAMPLERS,
    SCHEDULE_TYPES,
    EngineError,
    upscalers,
)
from easel.studio.engine.imaging import LATENT_UPSCALE_MODES, ResizeMode
from easel.studio.owner import HEADER, is_anonymous, owner_of
from easel.studio.studio import Studio
from easel.studio.version import VERSION

SIGN_OUT = "easel/signout"
"""The door's, relative to the page."""


class May(BaseModel):
    """What the person may do besides drawing."""

    change_models: bool
    team_styles: bool


class Person(BaseModel):
    """Who is there."""

    id: str
    name: str
    anonymous: bool
    may: May


class Choices(BaseModel):
    """What there is to choose from, beside files."""

    samplers: list[dict[str, Any]]
    schedulers: list[dict[str, Any]]
    upscalers: list[dict[str, Any]]
    latent_upscalers: list[str]
    scripts: list[dict[str, Any]]
    resize_modes: list[dict[str, Any]]


class PageLimits(BaseModel):
    """What one request may ask for. `pixels` are megapixels of all its pictures."""

    steps: int = MAX_STEPS
    side_min: int = MIN_SIDE
    side_max: int = MAX_SIDE
    batch_size: int = MAX_BATCH_SIZE
    batch_count: int = MAX_BATCH_COUNT
    pixels: float


class News(BaseModel):
    """Something to tell somebody when they come back."""

    words: str
    bad: bool
    code: str | None = Field(None, description="which sentence that is; null for one that has no code")
    values: dict[str, Any] = Field({}, description="what stands in its places")

    @classmethod
    def of(cls, words: str, *, bad: bool) -> Self:
        """With the code of words that have one."""
        said = CodedText.of(words)
        return cls(words=words, bad=bad, code=said.code, values=said.values)


class PageSession(BaseModel):
    """All that the page needs to begin."""

    endpoint: str
    version: str = VERSION
    person: Person
    sign_out: str | None = Field(None, description="where to, relative to the page; null without a gateway")
    engine: EngineState
    checkpoint: CheckpointCard | None = Field(None, description="the one that the person draws with")
    checkpoints: list[CheckpointCard]
    vaes: list[str]
    choices: Choices
    limits: PageLimits
    news: list[News] = Field(description="told once")
    retention_seconds: float | None = Field(None, description="after which pictures are deleted")


class CheckpointRequest(BaseModel):
    """Chooses a checkpoint."""

    name: str = Field(max_length=1000)


def session(studio: Studio, jobs: AsyncJobs) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio")

    @routes.get("/session")
    async def get_session(request: Request) -> PageSession:
        """Who is there, and what there is to draw with."""
        sign_out = SIGN_OUT if HEADER in request.headers else None
        return await asyncio.to_thread(_session, studio, jobs, owner_of(request.headers), sign_out)

    @routes.post("/checkpoint", responses=RESPONSES)
    async def choose_checkpoint(asked: CheckpointRequest, request: Request) -> CheckpointCard:
        """Draw with another checkpoint from now on: A1111's option `sd_model_checkpoint`."""
        owner = owner_of(request.headers)
        await asyncio.to_thread(set_options, studio, owner, {"sd_model_checkpoint": asked.name})
        return await asyncio.to_thread(lambda: _card(studio, studio.checkpoint(owner)))

    return routes


def has_preview(file: ModelFile) -> bool:
    """Whether there is a picture beside a model that can be shown."""
    return preview_of_file(file) is not None


def _card(studio: Studio, file: ModelFile) -> CheckpointCard:
    return checkpoint_card(file, has_preview, studio.engine.store.files(Kind.TEXT_ENCODER))


def _session(studio: Studio, jobs: AsyncJobs, owner: str, sign_out: str | None) -> PageSession:
    store = studio.engine.store
    anonymous = is_anonymous(owner)
    note = studio.note(owner)
    try:
        chosen: CheckpointCard | None = _card(studio, studio.checkpoint(owner))
    except (ModelError, EngineError) as error:
        chosen, note = None, said_by(error)
    told = [
        News(
            words=one.told,
            bad=one.bad,
            **({"code": one.error.code, "values": one.error.values} if one.error else {}),
        )
        for one in jobs.news(owner)
    ]
    return PageSession(
        endpoint=studio.endpoint,
        person=Person(
            id=owner,
            # What follows is the number of a session: each browser that came by the same link has its own.
            name=owner.partition("/")[0],
            anonymous=anonymous,
            may=May(change_models=not anonymous, team_styles=not anonymous),
        ),
        sign_out=sign_out,
        engine=engine_state(studio),
        checkpoint=chosen,
        checkpoints=[_card(studio, file) for file in store.checkpoints()],
        vaes=[file.name for file in store.vaes()],
        choices=_choices(studio),
        limits=PageLimits(pixels=studio.engine.limits.pixels_per_request),
        news=[*([News.of(note, bad=True)] if note else []), *told],
        retention_seconds=studio.retention,
    )


def _choices(studio: Studio) -> Choices:
    return Choices(
        samplers=[{"name": one.name} for one in SAMPLERS],
        schedulers=[{"name": one.name, "label": one.label} for one in SCHEDULE_TYPES],
        upscalers=[{"name": one.name, "scale": one.scale} for one in upscalers(studio.engine.store)],
        latent_upscalers=list(LATENT_UPSCALE_MODES),
        scripts=script_infos(studio.engine.store),
        resize_modes=[{"value": one.value, "name": one.name.lower()} for one in ResizeMode],
    )
