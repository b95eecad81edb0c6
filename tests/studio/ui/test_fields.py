"""What choosing does, without a browser around it."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from easel.models import ModelFile, Store
from easel.studio.engine import Engine
from easel.studio.studio import Studio
from easel.studio.ui.fields import Fields

STARTER = Path(__file__).parents[3] / "image" / "starter" / "easel-starter.safetensors"


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    folder = tmp_path / "models" / "Stable-diffusion"
    folder.mkdir(parents=True)
    for name in ("one", "two"):
        shutil.copy(STARTER, folder / f"{name}.safetensors")
    return Studio.at(tmp_path, "studio", Engine(Store(tmp_path / "models", hashing=False)))


def asked_by(owner: str) -> Any:
    return SimpleNamespace(headers={"x-easel-user": owner})


def test_what_is_chosen_is_loaded_ahead(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """The selector's choice is this person's, for good and for loading ahead; what is gone is neither."""
    chosen: list[tuple[str, str]] = []

    def prefetch(owner: str, file: ModelFile) -> None:
        chosen.append((owner, file.name))

    monkeypatch.setattr(studio.engine, "prefetch", prefetch)
    monkeypatch.setattr("gradio.Warning", lambda *_, **__: None)
    fields = Fields(studio)
    fields.choose("two.safetensors", 128, 128, asked_by("ada"))
    fields.choose("gone.safetensors", 128, 128, asked_by("bob"))
    assert chosen == [("ada", "two.safetensors")]
    assert studio.checkpoint("ada").name == "two.safetensors"
    assert studio.checkpoint("bob").name == "one.safetensors"
