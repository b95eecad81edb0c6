"""What tests of downloads fetch, and where it goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from easel.models import (
    Intake,
    Kind,
    ModelRequest,
    Store,
)
from tests.models.serving import Serving, model_bytes

MB = 1 << 20
CONTENT = model_bytes(6 * MB)
Make = Callable[..., Intake]


def wish(server: Serving, path: str = "/dream.safetensors", **said: Any) -> ModelRequest:
    return ModelRequest(server.url + path, **{"kind": Kind.LORA, **said})


def target(store: Store, name: str = "dream.safetensors") -> Path:
    return store.folder(Kind.LORA) / name
