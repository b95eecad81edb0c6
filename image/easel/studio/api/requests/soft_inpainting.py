"""A1111's always-on script "Soft Inpainting": its arguments, as what the engine's mask takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from easel.studio.api.requests.script_argument import Argument
from easel.studio.engine import SoftInpainting

TITLE = "Soft Inpainting"
ARGUMENTS = (
    Argument("Soft inpainting", False),
    Argument("Schedule bias", 1.0, 0, 8, 0.1),
    Argument("Preservation strength", 0.5, 0, 8, 0.05),
    Argument("Transition contrast boost", 4.0, 1, 32, 0.5),
    Argument("Mask influence", 0.0, 0, 1, 0.05),
    Argument("Difference threshold", 0.5, 0, 8, 0.25),
    Argument("Difference contrast", 2.0, 0, 8, 0.25),
)


def soft_inpainting(always_on: Mapping[str, Any]) -> SoftInpainting | None:
    """What a request's `alwayson_scripts` say of it, None where it is off. Raises InvalidRequest."""
    for title, script in always_on.items():
        if title.strip().lower() != TITLE.lower():
            continue
        args = script.get("args", []) if isinstance(script, dict) else script
        if not isinstance(args, list):
            return None
        sent = [*args[: len(ARGUMENTS)], *[None] * (len(ARGUMENTS) - len(args))]
        on, *values = [one.understood(value) for one, value in zip(ARGUMENTS, sent, strict=True)]
        return SoftInpainting(*values) if on else None
    return None
