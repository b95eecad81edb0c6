"""What the engine does, as everybody may know it: counts, and nobody's work."""

from __future__ import annotations

import sys

from pydantic import BaseModel, Field

from easel.studio.coded_text import CodedText
from easel.studio.studio import Studio


class EngineState(BaseModel):
    """The engine of this replica. Memory is the device's, in bytes."""

    phase: str = Field(description="importing, loading, ready or failed")
    detail: str
    remark: CodedText | None = Field(None, description="`detail` by its code, while it loads or has failed")
    device: str = Field(description="a GPU's name, or CPU")
    running: int = Field(description="pictures under way")
    queued: int = Field(description="pictures that wait")
    people: int = Field(description="people who have work here")
    loaded: str | None = Field(None, description="the checkpoint in memory")
    memory_used: int
    memory_total: int
    width: CodedText | None = Field(
        None, description="how many pictures like those that were drawn last share a call, and why"
    )
    uncompiled: CodedText | None = Field(
        None, description="why blocks are not compiled, though the endpoint asks for it"
    )
    unrecorded: CodedText | None = Field(
        None, description="why there are no CUDA graphs, though the endpoint asks for them"
    )


def engine_state(studio: Studio) -> EngineState:
    """How it is now."""
    now = studio.engine.status()
    used, total = _memory(now.device)
    return EngineState(
        phase=now.phase,
        detail=now.detail,
        remark=CodedText.of(now.detail) if now.phase in ("loading", "failed") and now.detail else None,
        device=_device(now.device),
        running=now.running,
        queued=now.queued,
        people=len({job.owner for job in studio.engine.jobs()}),
        loaded=now.checkpoint.name if now.checkpoint else None,
        memory_used=used,
        memory_total=total,
        width=CodedText.of(now.width_reason) if now.width_reason else None,
        uncompiled=CodedText.of(now.uncompiled) if now.uncompiled else None,
        unrecorded=CodedText.of(now.unrecorded) if now.unrecorded else None,
    )


def _device(word: str) -> str:
    torch = sys.modules.get("torch")
    if word.startswith("cuda") and torch is not None:
        return str(torch.cuda.get_device_name(0))
    return word.upper()


def _memory(word: str) -> tuple[int, int]:
    torch = sys.modules.get("torch")
    if word.startswith("cuda") and torch is not None:
        free, total = torch.cuda.mem_get_info()
        return total - free, total
    import psutil

    whole = psutil.virtual_memory()
    return whole.total - whole.available, whole.total
