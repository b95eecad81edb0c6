"""The API as a FastAPI application; the page is mounted beside it by `easel.studio.app`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import reduce
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from starlette.responses import HTMLResponse

from easel.remark import as_json, remark
from easel.studio.api.boards import boards
from easel.studio.api.catalog import catalog
from easel.studio.api.controlnet import controlnet
from easel.studio.api.description import DescribedApi, operation_id
from easel.studio.api.drawing import drawing
from easel.studio.api.errors import handle_errors
from easel.studio.api.events import JobObserver, events
from easel.studio.api.extra_networks import extra_networks
from easel.studio.api.extras import extras
from easel.studio.api.gallery import gallery
from easel.studio.api.gallery_zip import gallery_zip
from easel.studio.api.internal import internal
from easel.studio.api.interrogate import interrogate
from easel.studio.api.jobs.async_jobs import AsyncJobs
from easel.studio.api.jobs.routes import jobs_routes
from easel.studio.api.memory import memory
from easel.studio.api.metrics import metrics
from easel.studio.api.model_files import model_files
from easel.studio.api.models import models
from easel.studio.api.not_here import not_here
from easel.studio.api.openai.errors import OpenAiRoute
from easel.studio.api.openai.routes import openai
from easel.studio.api.options import options
from easel.studio.api.page_choices import page_choices
from easel.studio.api.parameters import parameters
from easel.studio.api.png_info import png_info
from easel.studio.api.presets import presets
from easel.studio.api.progress import progress
from easel.studio.api.reference import page
from easel.studio.api.session import session
from easel.studio.api.shares import shares
from easel.studio.api.strict_json import finite
from easel.studio.api.styles import styles
from easel.studio.api.typing_aids import typing_aids
from easel.studio.api.wildcards import wildcards
from easel.studio.metrics import UNKNOWN
from easel.studio.security_headers import POLICY, policy
from easel.studio.studio import Studio
from easel.studio.version import VERSION

_DESCRIPTION = """A1111's API. Everything is the caller's own: progress, interrupt, options and pictures of
one caller are nobody else's. Unknown fields are kept, numbers may be strings, and a trailing slash makes
no difference. Errors below /v1 have OpenAI's shape, all others A1111's; 401 and 403 are the door's."""

_A1111S = ("sdapi", "studio", "internal", "easel", "sd_extra_networks", "controlnet", "jobs")


def create_api(studio: Studio) -> FastAPI:
    """All routes of the API, with A1111's error bodies."""
    # /docs is a page of our own: FastAPI's loads scripts from a CDN, and the studio works without a network.
    jobs = AsyncJobs(studio)
    observer = JobObserver(studio, jobs)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        observer.start()
        await jobs.start()
        yield
        await jobs.close()
        observer.stop()

    app = DescribedApi(
        title="Easel", version=VERSION, description=_DESCRIPTION, docs_url=None, redoc_url=None,
        dependencies=[Depends(finite)], generate_unique_id_function=operation_id, lifespan=life,
        redirect_slashes=False,
    )  # fmt: skip
    handle_errors(app)
    for routes in (
        drawing(studio, jobs),
        progress(studio, jobs),
        extras(studio, jobs),
        jobs_routes(jobs),
        options(studio),
        catalog(studio),
        page_choices(studio),
        png_info(),
        memory(studio),
        models(studio),
        styles(studio),
        presets(studio),
        controlnet(studio),
        openai(studio),
        interrogate(studio),
        not_here(),
        internal(studio),
        extra_networks(studio),
        typing_aids(studio),
        gallery(studio),
        gallery_zip(studio),
        parameters(studio),
        boards(studio),
        shares(studio),
        session(studio, jobs),
        events(studio, observer),
        metrics(studio),
        wildcards(studio),
        model_files(studio, jobs),
    ):
        app.include_router(routes)
    app.include_router(_own(studio))
    app.include_router(_rest(app))
    return app


def _own(studio: Studio) -> APIRouter:
    routes = APIRouter()

    @routes.get("/easel/load", include_in_schema=False)
    def load() -> dict[str, Any]:
        """How busy the studio is, in pictures, for the gateway."""
        now = studio.engine.status()
        more = (now.width_reason, now.uncompiled, now.unrecorded) if now.phase == "ready" else ()
        detail = _beside(one for one in (now.detail, *more) if one)
        return {
            "phase": now.phase,
            "detail": detail,
            "remark": as_json(detail) if detail else None,
            "running": now.running,
            "queued": now.queued,
            "idle_seconds": round(studio.activity.idle_seconds(now.idle_seconds), 3),
        }

    return routes


def _beside(texts: Iterable[str]) -> str:
    """Several sentences as one, each of which keeps its code."""
    found = [*texts]
    return reduce(
        lambda one, other: remark("one_beside", "{one} · {other}", one=one, other=other), found or [""]
    )


def _rest(app: FastAPI) -> APIRouter:
    """/docs, and A1111's error body for everything below /sdapi that is not there."""
    routes = APIRouter()

    @routes.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        text = page(app.openapi())
        return HTMLResponse(text, headers={POLICY: policy(text.encode())})

    async def missing(request: Request) -> None:
        if allowed := app.openapi()["paths"].get(request.scope["path"]):
            raise HTTPException(405, "Method Not Allowed", {"Allow": ", ".join(allowed).upper()})
        raise HTTPException(404, "Not Found")

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"]
    for path in ("/sdapi", *(f"/{top}/{{rest:path}}" for top in _A1111S)):
        routes.add_api_route(path, missing, name=UNKNOWN, methods=methods, include_in_schema=False)
    routes.add_api_route(
        "/v1/{rest:path}",
        missing,
        name=UNKNOWN,
        methods=methods,
        include_in_schema=False,
        route_class_override=OpenAiRoute,
    )
    return routes
