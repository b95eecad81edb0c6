from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from easel.models import FetchLimits, FetchProgress, Intake, Secrets, Store
from tests.models.serving import Serving, serving

QUICK = FetchLimits(connections=4, stall=1.0, slow=1.0, patience=3, pause=0.02)
"""So that tests of patience do not need any."""


@pytest.fixture
def server() -> Iterator[Serving]:
    with serving() as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", hashing=False)


@pytest.fixture
def events() -> list[FetchProgress]:
    return []


@pytest.fixture
def intake(store: Store, events: list[FetchProgress]) -> Callable[..., Intake]:
    def make(**said: Any) -> Intake:
        limits = replace(said.pop("limits", QUICK), lock_expiry=2)
        said.setdefault("secrets", Secrets())
        return Intake(store, watcher=events.append, limits=limits, **said)

    return make


def leftovers(root: Path) -> list[str]:
    """What lies about in the store beside models and records."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and ".easel" not in path.parts and path.suffix != ".safetensors"
    )
