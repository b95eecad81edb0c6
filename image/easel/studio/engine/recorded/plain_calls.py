"""Calls in which the backbone is what its file has: nothing that people bring changes what its layers do."""

from __future__ import annotations

from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.control_models.lite_control import has_lite


def plain(call: BackboneCall) -> bool:
    """Whether this is one, that others may share: networks, references and LLLites work by hooks, pictures as
    prompts by processors, and edges that meet by other padding. One that goes alone is made as ever: of
    `exact` pictures no bit depends on what could be compiled or recorded before them."""
    return not (
        call.alone
        or call.tiling
        or call.loras
        or call.image_prompts
        or call.references
        or has_lite(call.controls)
    )
