"""Two parameters of a test, each with each: for every day what stands for all, else with the long tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def crossed(
    first: Iterable[Any],
    second: Iterable[Any],
    for_every_day: Callable[[Any, Any], bool],
    *,
    name: Callable[[Any], str] = str,
) -> list[Any]:
    """All pairs as parameters of `pytest.mark.parametrize`; those that are not for every day are slow."""
    others = list(second)
    return [
        pytest.param(
            one, other, id=f"{name(one)}-{name(other)}",
            marks=[] if for_every_day(one, other) else [pytest.mark.slow],
        )
        for one in first
        for other in others
    ]  # fmt: skip
