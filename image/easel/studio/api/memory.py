"""`GET /sdapi/v1/memory` as A1111 answers it, and `GET /studio/memory`, which says more."""

from __future__ import annotations

import sys
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from easel.studio.engine import MemoryUse
from easel.studio.studio import Studio


class MemoryResponse(BaseModel):
    """Bytes. `cuda` has only `error` where there is no GPU."""

    ram: dict[str, Any]
    cuda: dict[str, Any]


class StudioMemory(MemoryResponse):
    """The same, and the plan."""

    plan: MemoryUse | None = Field(
        description="how the checkpoint that serves lies in memory, computed before anything is drawn. "
        "`room` is what one picture may take beside it at the most."
    )


def memory(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/sdapi/v1/memory")
    def read() -> MemoryResponse:
        """The machine's memory and the GPU's."""
        return MemoryResponse(ram=_ram(), cuda=_cuda())

    @routes.get("/studio/memory")
    def read_all() -> StudioMemory:
        """The same, and how the checkpoint that serves lies in it."""
        return StudioMemory(ram=_ram(), cuda=_cuda(), plan=studio.engine.memory_use())

    return routes


def _ram() -> dict[str, Any]:
    import psutil

    whole = psutil.virtual_memory()
    return {"free": whole.available, "used": psutil.Process().memory_info().rss, "total": whole.total}


def _cuda() -> dict[str, Any]:
    # Not imported: the engine does that, and asking for memory must not be what brings torch in.
    torch = sys.modules.get("torch")
    try:
        if torch is None or not torch.cuda.is_available():
            return {"error": "unavailable"}
        free, total = torch.cuda.mem_get_info()
        stats = torch.cuda.memory_stats()
    except (AttributeError, RuntimeError) as e:
        return {"error": str(e)}
    kinds = {"active": "active_bytes", "allocated": "allocated_bytes", "reserved": "reserved_bytes"}
    return {
        "system": {"free": free, "used": total - free, "total": total},
        **{name: _both(stats, key) for name, key in kinds.items()},
        "inactive": _both(stats, "inactive_split_bytes"),
        "events": {"retries": stats.get("num_alloc_retries", 0), "oom": stats.get("num_ooms", 0)},
    }


def _both(stats: dict[str, int], key: str) -> dict[str, int]:
    return {"current": stats.get(f"{key}.all.current", 0), "peak": stats.get(f"{key}.all.peak", 0)}
