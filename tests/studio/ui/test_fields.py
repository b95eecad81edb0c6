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


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Steps: 2, Sampler: Euler, Seed: 1, RNG: CPU", ""),
        ("Steps: 2, Sampler: Euler, Seed: 1, RNG: CPU, Clip skip: 1, Eta: 1.0, Version: v1.10.1", ""),
        ("Steps: 2, Sampler: Euler, Seed: 1, Version: v1.10.1", "There are no fields for randn_source NV:"),
        ("Steps: 2, Sampler: Euler a, Seed: 1, ENSD: 31337, Clip skip: 2", "eta_noise_seed_delta 31337"),
        ("Steps: 2, Seed: 1, Variation seed: 5, Variation seed strength: 0.2",
         "subseed 5, subseed_strength 0.2"),
    ],
)  # fmt: skip
def test_what_has_no_field_is_told(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    """What a pasted infotext says and the page cannot set is named, so that nobody wonders at the picture."""
    warned: list[str] = []
    monkeypatch.setattr("gradio.Warning", warned.append)
    Fields(studio).from_text(f"a cat\n{said}")
    assert told in " ".join(warned)
    assert bool(warned) == bool(told)
