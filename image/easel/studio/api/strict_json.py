"""JSON as it comes in, and as it goes out: always valid, whatever was sent."""

from __future__ import annotations

import json
import math
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response


def dumps(value: Any) -> bytes:
    """`value` as JSON in ASCII.

    NaN and infinities, which JSON has no word for, become null; halves of surrogate pairs, which UTF-8 has no
    bytes for, stay escapes: they arrive in requests and come back in echoes and error bodies.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":")).encode()


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(dumps(value), status, headers, "application/json")


async def finite(request: Request) -> None:
    """For every route: JSON has no NaN and no infinity (RFC 8259, 6), though Python reads both, and makes one
    of `1e999`. Wherever one is in a body, in a field that nobody knows too: raises RequestValidationError."""
    try:
        # What the route has read already; nothing where there is no JSON.
        body = await request.json()
    except (ValueError, RecursionError):
        return
    if wrong := _not_finite(body):
        where, value = wrong
        raise RequestValidationError(
            [
                {
                    "type": "finite_number",
                    "loc": ("body", *where),
                    "msg": f"Input should be a finite number, and JSON has no {value}",
                    "input": str(value),
                }
            ]
        )


def _not_finite(body: Any) -> tuple[tuple[str | int, ...], float] | None:
    """The first number that is none, and where."""
    left: list[tuple[tuple[str | int, ...], Any]] = [((), body)]
    while left:
        where, value = left.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return where, value
        if isinstance(value, dict):
            left += [((*where, str(key)), one) for key, one in value.items()]
        elif isinstance(value, list):
            left += [((*where, place), one) for place, one in enumerate(value)]
    return None


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
