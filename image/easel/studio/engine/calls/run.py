"""How the numbers of a call are computed: by Python, as it is written, or by a recording of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]
"""Answers `run(function, *given, **named)` as `function(*given, **named)` would: tensors for tensors."""


def as_written(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """By the function itself."""
    return function(*given, **named)
