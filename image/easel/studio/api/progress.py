"""How the caller's own work goes, and how to stop it."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.studio.api.errors import RESPONSES
from easel.studio.api.jobs.async_jobs import AsyncJobs
from easel.studio.api.requests.fields import Liberal, Text, WholeNumber
from easel.studio.api.strict_json import reply
from easel.studio.engine import FINAL, Job, JobState, ProgressReport
from easel.studio.owner import owner_of
from easel.studio.png import encode
from easel.studio.studio import Studio


class ProgressState(BaseModel):
    """A1111's account of its one job; here of the caller's oldest unfinished one."""

    skipped: bool = False
    interrupted: bool = False
    stopping_generation: bool = False
    job: str = ""
    job_count: int = Field(0, description="batches of the job; 0 when there is nothing to do")
    job_timestamp: str = "0"
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0


class ProgressResponse(BaseModel):
    """All zeros when the caller has nothing under way."""

    progress: float = Field(0.0, description="0 to 1")
    eta_relative: float = Field(0.0, description="seconds, 0 until there is something to go by")
    state: ProgressState = ProgressState()
    current_image: str | None = Field(None, description="the picture as it is now: PNG as bare base64")
    textinfo: str | None = Field(None, description="what is being waited for, in words")


class TaskRequest(Liberal):
    """Asks for one task by the id that its request gave as `force_task_id`."""

    id_task: Text | None = None
    id_live_preview: WholeNumber = -1
    live_preview: bool = True


class TaskResponse(BaseModel):
    """How one task goes."""

    active: bool
    queued: bool
    completed: bool
    progress: float | None = None
    eta: float | None = None
    live_preview: str | None = None
    id_live_preview: int | None = None
    textinfo: str | None = None


def progress(studio: Studio, async_jobs: AsyncJobs) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    _jobs(routes, studio, async_jobs)
    _tasks(routes, studio)
    return routes


def _jobs(routes: APIRouter, studio: Studio, async_jobs: AsyncJobs) -> None:
    """A1111's one job: here the caller's oldest."""

    @routes.get("/sdapi/v1/progress", response_model=ProgressResponse)
    async def get_progress(
        request: Request,
        skip_current_image: bool = False,
        camel: Annotated[bool, Query(alias="skipCurrentImage", include_in_schema=False)] = False,
    ) -> Response:
        """The caller's oldest job that is not finished."""
        jobs = studio.engine.jobs(owner_of(request.headers))
        if not jobs:
            return reply(ProgressResponse().model_dump())
        job = next((one for one in jobs if one.state is JobState.RUNNING), jobs[0])
        wanted = not (skip_current_image or camel)
        now = job.progress(preview=wanted)
        together = studio.tasks.together(job)
        fraction = _fraction(together)
        return reply(
            ProgressResponse(
                progress=fraction,
                eta_relative=_eta(together, now, fraction),
                state=_state(job, now, together),
                current_image=await _preview(now) if wanted else None,
                textinfo=words(now),
            ).model_dump()
        )

    @routes.post("/sdapi/v1/interrupt")
    async def interrupt(request: Request) -> dict[str, Any]:
        """Stop all of the caller's jobs at once. Their requests are answered with what is there by then."""
        owner = owner_of(request.headers)
        await async_jobs.interrupt(owner)  # before the engine is free for the next of them
        for job in studio.engine.jobs(owner):
            job.cancel(keep_partial=True)
        return {}

    @routes.post("/sdapi/v1/skip")
    async def skip(request: Request) -> dict[str, Any]:
        """Of the caller's oldest job the batch under way ends with what is there; its next batch goes on."""
        for job in studio.engine.jobs(owner_of(request.headers))[:1]:
            job.skip()
        return {}


def _tasks(routes: APIRouter, studio: Studio) -> None:
    """Jobs by the ids that their requests gave."""

    @routes.post("/internal/progress", response_model=TaskResponse, responses=RESPONSES)
    async def task_progress(request: Request, asked: TaskRequest) -> Response:
        """One of the caller's tasks by its id."""
        jobs = studio.tasks.find(owner_of(request.headers), asked.id_task or "")
        if not jobs:
            return reply(
                TaskResponse(active=False, queued=False, completed=False, textinfo="Waiting...").model_dump()
            )
        job = next((one for one in jobs if one.state not in FINAL), jobs[-1])
        now = job.progress(preview=asked.live_preview)
        fraction = _fraction(jobs)
        # A picture's number: the client sends back the last one it has, and gets none it has seen.
        number = int(fraction * 1000)
        fresh = asked.live_preview and number != asked.id_live_preview
        image = await _preview(now) if fresh else None
        return reply(
            TaskResponse(
                active=now.state in {JobState.RUNNING, JobState.LOADING},
                queued=now.state is JobState.QUEUED,
                completed=now.state in FINAL,
                progress=fraction,
                eta=_eta(jobs, now, fraction) or None,
                live_preview=f"data:image/png;base64,{image}" if image else None,
                id_live_preview=number if image else asked.id_live_preview,
                textinfo=words(now),
            ).model_dump()
        )

    @routes.get("/internal/pending-tasks")
    async def pending_tasks(request: Request) -> dict[str, Any]:
        """The caller's tasks that are not finished."""
        tasks = studio.tasks.pending(owner_of(request.headers))
        return {"size": len(tasks), "tasks": tasks}


def words(now: ProgressReport) -> str | None:
    """What a job waits for, None when it runs."""
    if now.state is JobState.LOADING:
        return now.detail or "loading the checkpoint"
    if now.state is JobState.QUEUED:
        return f"waiting: {now.ahead} ahead" if now.ahead else "waiting"
    return None


def _fraction(jobs: Sequence[Job]) -> float:
    """How far a request is, over all of its jobs; those that ended early are done too."""
    done = [1.0 if job.state in FINAL else job.progress().fraction for job in jobs]
    return sum(done) / len(done) if len(jobs) > 1 else jobs[0].progress().fraction


def _eta(jobs: Sequence[Job], now: ProgressReport, fraction: float) -> float:
    """Seconds that are left, 0 until there is something to go by: of many jobs by the time that is gone."""
    if len(jobs) == 1:
        return now.eta or 0.0
    gone = time.monotonic() - jobs[0].submitted
    return gone / fraction - gone if fraction else 0.0


def _state(job: Job, now: ProgressReport, together: Sequence[Job]) -> ProgressState:
    """Of the job at hand, with batches counted over all of its request's."""
    count = sum(one.request.batch_count for one in together)
    batch = sum(one.progress().finished // one.request.batch_size for one in together)
    began = datetime.now() - timedelta(seconds=time.monotonic() - together[0].submitted)
    return ProgressState(
        interrupted=job.cancelled is not None,
        stopping_generation=job.cancelled is not None,
        job=f"Batch {min(batch + 1, count)} out of {count}",
        job_count=count,
        job_timestamp=began.strftime("%Y%m%d%H%M%S"),
        job_no=batch,
        sampling_step=now.step,
        sampling_steps=now.steps,
    )


async def _preview(now: ProgressReport) -> str | None:
    if now.preview is None:
        return None
    return base64.b64encode(await asyncio.to_thread(encode, now.preview)).decode()
