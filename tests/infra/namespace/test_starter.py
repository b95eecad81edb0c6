"""The step before a studio: the image's starter in an empty store, by the shell that the image has."""

import subprocess
from pathlib import Path

import pytest

from infra.namespace.replicas import STARTER


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The image's models, with one in a folder of its own."""
    folder = tmp_path / "image"
    (folder / "Stable-diffusion").mkdir(parents=True)
    (folder / "Stable-diffusion" / "a starter.safetensors").write_bytes(b"weights")
    (folder / "Stable-diffusion" / "notes.txt").write_text("no model")
    (tmp_path / "store").mkdir()
    return folder


def placed(image: Path) -> list[str]:
    """The store's files after the step."""
    store = image.parent / "store"
    script = STARTER.replace("/easel/models", str(image)).replace('"/models/', f'"{store}/')
    script = script.replace("find /models", f"find {store}")
    subprocess.run(["sh", "-c", script], check=True, env={"PATH": "/usr/bin:/bin", "HOSTNAME": "pod-1"})
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())


def test_an_empty_store_gets_the_starter(image: Path) -> None:
    """Whole or not at all, models only, and again changes nothing."""
    assert placed(image) == ["Stable-diffusion/a starter.safetensors"]
    assert placed(image) == ["Stable-diffusion/a starter.safetensors"]


def test_a_store_with_a_model_is_left_alone(image: Path) -> None:
    """The team's own is what it draws with."""
    (image.parent / "store" / "own.safetensors").write_bytes(b"own")
    assert placed(image) == ["own.safetensors"]


def test_a_step_that_cannot_write_fails(image: Path) -> None:
    """And the pod says so, where a studio without a model would only say that it has none."""
    store = image.parent / "store"
    (store / "Stable-diffusion").write_text("a file in its way")
    with pytest.raises(subprocess.CalledProcessError):
        placed(image)
