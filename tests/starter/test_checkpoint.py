"""The file that ships: an ordinary checkpoint, small, read by diffusers itself without a hub."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import CLIPTokenizer

from scripts.starter import exam, export
from scripts.starter.layout import checkpoint

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "image" / "starter" / "easel-starter.safetensors"
FAMILIES = ROOT / "image" / "easel" / "studio" / "families"


@pytest.fixture(scope="module")
def pipe() -> Any:
    """A plain pipeline from the shipped file, made while no socket can be opened."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("the test cut the network")

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", refuse)
    patch.setattr(socket, "getaddrinfo", refuse)
    try:
        yield exam.pipeline(STARTER)
    finally:
        patch.undo()


def test_it_is_small() -> None:
    """Under 20 MB: it travels with every clone."""
    assert STARTER.stat().st_size < 20_000_000


def test_its_header_says_what_it_is() -> None:
    """Title, licence, size and family, for people and tools that look into the file."""
    with safe_open(STARTER, "pt") as file:
        metadata = file.metadata()
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    assert metadata["easel.family"] == "starter"
    assert metadata["modelspec.license"] == "Apache-2.0"
    assert metadata["modelspec.resolution"] == "128x128"


def test_it_has_stable_diffusions_own_names() -> None:
    """The layout that every tool for single files knows."""
    with safe_open(STARTER, "pt") as file:
        names = set(file.keys())
    assert {name.split(".")[0] for name in names} == {
        "model",
        "first_stage_model",
        "cond_stage_model",
    }
    assert "model.diffusion_model.input_blocks.0.0.weight" in names
    assert "first_stage_model.decoder.conv_in.weight" in names
    assert "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight" in names


def test_diffusers_reads_every_tensor_of_it(pipe: Any) -> None:
    """From file to modules and back: every tensor is where it was, bit for bit."""
    again = checkpoint(pipe.unet, pipe.vae, pipe.text_encoder)
    shipped = load_file(STARTER)
    assert again.keys() == shipped.keys()
    for name, tensor in shipped.items():
        assert torch.equal(again[name].half(), tensor), name


def test_the_tokenizer_is_clips() -> None:
    """The vocabulary is the one that every Stable Diffusion checkpoint was trained with."""
    words = CLIPTokenizer.from_pretrained(FAMILIES / "tokenizer")
    assert words("a photo of a cat")["input_ids"] == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert len(words) == 49408


def test_the_configuration_is_what_the_script_writes(tmp_path: Path) -> None:
    """Nobody edits the family's folder by hand: it says what was trained."""
    export.write_configuration(tmp_path)
    for written in tmp_path.rglob("*.json"):
        shipped = FAMILIES / "starter" / written.relative_to(tmp_path)
        assert json.loads(shipped.read_text()) == json.loads(written.read_text()), shipped
