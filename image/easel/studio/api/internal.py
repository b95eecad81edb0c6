"""`/internal/…`: what A1111's own page asks of the program around it."""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.studio.api.errors import ErrorBody
from easel.studio.api.requests.options_table import OPTIONS
from easel.studio.api.strict_json import reply
from easel.studio.infotext import VERSION
from easel.studio.owner import is_anonymous, owner_of
from easel.studio.studio import Studio

_MEMBERS: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorBody, "description": "The caller is a visitor of a public endpoint"}
}


class QuicksettingsHint(BaseModel):
    """An option and what it is."""

    name: str
    label: str


class StartupProfile(BaseModel):
    """Seconds that the start took."""

    total: float = Field(description="from the process's first moment until its API was there")
    records: dict[str, float]


class SystemInfo(BaseModel):
    """What this runs on. Neither paths nor the environment: nobody who draws needs to know them."""

    platform: str = Field(serialization_alias="Platform")
    python: str = Field(serialization_alias="Python")
    version: str = Field(serialization_alias="Version")
    torch: str | None = Field(serialization_alias="Torch", description="null until it is imported")
    device: str = Field(serialization_alias="Device")
    checkpoint: str | None = Field(serialization_alias="Checkpoint", description="the one in memory")
    cpu: dict[str, Any] = Field(serialization_alias="CPU")
    ram: dict[str, Any] = Field(serialization_alias="RAM", description="bytes")


def internal(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/internal")
    profile = _profile()

    @routes.get("/ping")
    def ping() -> dict[str, Any]:
        """Whether anybody is there."""
        return {}

    @routes.get("/quicksettings-hint")
    def quicksettings_hint() -> list[QuicksettingsHint]:
        """All options, with a few words on each."""
        return [QuicksettingsHint(name=option.name, label=option.why) for option in OPTIONS.values()]

    @routes.get("/profile-startup")
    def profile_startup() -> StartupProfile:
        """How long the start took."""
        return profile

    @routes.get("/sysinfo", response_model=SystemInfo, responses=_MEMBERS)
    def sysinfo(request: Request) -> Response:
        """What this runs on."""
        _check_member(request)
        return reply(_system(studio).model_dump(by_alias=True))

    @routes.get("/sysinfo-download", response_model=SystemInfo, responses=_MEMBERS)
    def sysinfo_download(request: Request) -> Response:
        """The same as a file."""
        _check_member(request)
        name = time.strftime("sysinfo-%Y-%m-%d-%H-%M.json", time.gmtime())
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return reply(_system(studio).model_dump(by_alias=True), headers=headers)

    return routes


def _check_member(request: Request) -> None:
    """Raise 403 for a visitor: versions are of use to whoever looks for a way in."""
    if is_anonymous(owner_of(request.headers)):
        raise HTTPException(403, "what this runs on is for members and holders of a token")


def _profile() -> StartupProfile:
    import psutil

    seconds = round(max(0.0, time.time() - psutil.Process().create_time()), 3)
    return StartupProfile(total=seconds, records={"program and API": seconds})


def _system(studio: Studio) -> SystemInfo:
    import psutil

    memory = psutil.virtual_memory()
    # Not imported: asking must not be what brings torch in.
    torch = sys.modules.get("torch")
    now = studio.engine.status()
    return SystemInfo(
        platform=platform.platform(),
        python=platform.python_version(),
        version=VERSION,
        torch=str(torch.__version__) if torch else None,
        device=now.device,
        checkpoint=now.checkpoint.title if now.checkpoint else None,
        cpu={
            "model": platform.machine(),
            "count logical": os.cpu_count(),
            "count physical": psutil.cpu_count(logical=False),
        },
        ram={"total": memory.total, "used": memory.used, "free": memory.available},
    )
