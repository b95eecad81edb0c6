"""A1111's always-on script "Soft Inpainting": its arguments, as what the engine's mask takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from easel.studio.engine import InvalidRequest, SoftInpainting, check_range

TITLE = "Soft Inpainting"
_DEFAULTS = SoftInpainting()
# Label, default, lowest, highest; in the order of A1111's arguments behind the first, which says whether it is on.
SLIDERS: tuple[tuple[str, float, float, float], ...] = tuple(
    (label, default, low, high)
    for (label, low, high), default in zip(
        (
            ("Schedule bias", 0, 8), ("Preservation strength", 0, 8), ("Transition contrast boost", 1, 32),
            ("Mask influence", 0, 1), ("Difference threshold", 0, 8), ("Difference contrast", 0, 8),
        ),
        astuple(_DEFAULTS),
        strict=True,
    )
)  # fmt: skip


def soft_inpainting(always_on: Mapping[str, Any]) -> SoftInpainting | None:
    """What a request's `alwayson_scripts` say of it, None where it is off. Raises InvalidRequest."""
    for title, script in always_on.items():
        if title.strip().lower() == TITLE.lower():
            args = script.get("args", []) if isinstance(script, dict) else script
            return _understood(args) if isinstance(args, list) and args and args[0] is True else None
    return None


def _understood(args: list[Any]) -> SoftInpainting:
    values = []
    for (label, default, low, high), value in zip(SLIDERS, [*args[1:], *[None] * len(SLIDERS)], strict=False):
        field = f"alwayson_scripts.{TITLE}.{label}"
        try:
            number = default if value is None else float(value)
        except (TypeError, ValueError, OverflowError) as e:
            raise InvalidRequest(field, value, f"{low} to {high}") from e
        check_range(field, number, low, high)
        values.append(number)
    return SoftInpainting(*values)
