"""`POST /sdapi/v1/extra-single-image` and `/extra-batch-images`: pictures made larger, and nothing drawn."""

from __future__ import annotations

import asyncio
import base64

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.studio.api.errors import RESPONSES
from easel.studio.api.extras_run import ExtrasRun
from easel.studio.api.hanging_up import line_of
from easel.studio.api.jobs.accepting import accepted, wants_async
from easel.studio.api.jobs.async_jobs import AsyncJobs
from easel.studio.api.requests.extras_request import ExtrasBatchRequest, ExtrasRequest, ExtrasSingleRequest
from easel.studio.api.strict_json import reply
from easel.studio.owner import owner_of
from easel.studio.studio import Studio


class ExtrasSingleResponse(BaseModel):
    """`image` is null where it was interrupted."""

    html_info: str = Field(description="what was done, as the file's `postprocessing` says too")
    image: str | None = Field(None, description="a file as bare base64: PNG, or what `samples_format` says")


class ExtrasBatchResponse(BaseModel):
    """Where it was interrupted, pictures at the end are missing."""

    html_info: str
    images: list[str]


def extras(studio: Studio, jobs: AsyncJobs) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/sdapi/v1")

    @routes.post("/extra-single-image", response_model=ExtrasSingleResponse, responses=RESPONSES)
    async def single(asked: ExtrasSingleRequest, request: Request) -> Response:
        """Make a picture larger: a job as any other, in its turn, ended by `interrupt` and by hanging up."""
        if wants_async(request):
            return await accepted(jobs, "extra-single-image", asked, request)
        files, words = await _made(studio, asked, request)
        return reply({"html_info": words, "image": files[0] if files else None})

    @routes.post("/extra-batch-images", response_model=ExtrasBatchResponse, responses=RESPONSES)
    async def batch(asked: ExtrasBatchRequest, request: Request) -> Response:
        """Make pictures larger, each a job of its own."""
        if wants_async(request):
            return await accepted(jobs, "extra-batch-images", asked, request)
        files, words = await _made(studio, asked, request)
        return reply({"html_info": words, "images": files})

    return routes


async def _made(studio: Studio, asked: ExtrasRequest, request: Request) -> tuple[list[str], str]:
    """The files as base64, and `html_info`."""
    owner = owner_of(request.headers)
    options = await asyncio.to_thread(studio.options.read, owner)
    async with line_of(request) as line:
        run = ExtrasRun(studio, owner, options, line)
        await run.begin(asked)
        files = await run.files()
    return [base64.b64encode(one).decode() for one in files], run.html_info
