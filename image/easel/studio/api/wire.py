"""JSON as it goes out: always valid, whatever came in."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.responses import Response


def dumps(value: Any) -> bytes:
    """`value` as JSON in ASCII.

    NaN and infinities, which JSON has no word for, become null; halves of surrogate pairs, which UTF-8 has no
    bytes for, stay escapes. Both arrive in requests and come back in echoes and error bodies.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":")).encode()


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(dumps(value), status, headers, "application/json")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
