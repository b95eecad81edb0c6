"""What people write of a model lies where A1111 has it, and the rest of that file is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from easel.models import ModelNotes, UnreadableNotes, read_notes, write_notes


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "chalk.v2.safetensors"
    path.write_bytes(b"x")
    return path


def beside(model: Path) -> Path:
    return model.with_name("chalk.v2.json")


def test_as_a1111_writes_it(model: Path) -> None:
    """A file of A1111's LoRA editor is read as it is."""
    said = {"description": "d", "sd version": "SD1", "activation text": "chalk, dust", 
            "preferred weight": 0.7,
            "negative text": "photo", "notes": "n"}  # fmt: skip
    beside(model).write_text(json.dumps(said))
    assert read_notes(model) == ModelNotes("chalk, dust", "photo", 0.7, "n", "d")


def test_what_others_keep_there_stays(model: Path) -> None:
    """Our own table, A1111's version and unknown names are there after writing and after clearing."""
    kept = {"easel": {"architecture": "sd1"}, "sd version": "SD1", "x": [1]}
    beside(model).write_text(json.dumps({**kept, "notes": "old"}))
    write_notes(model, ModelNotes(words="ü 粉筆", weight=0.5))
    found = json.loads(beside(model).read_text(encoding="utf-8"))
    assert found == {**kept, "activation text": "ü 粉筆", "preferred weight": 0.5}
    write_notes(model, ModelNotes())
    assert json.loads(beside(model).read_text()) == kept


def test_nothing_to_say_is_no_file(model: Path) -> None:
    """Notes that are cleared leave nothing behind."""
    write_notes(model, ModelNotes(notes="x"))
    write_notes(model, ModelNotes())
    assert not beside(model).exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00", "[" * 100_000])
def test_what_is_no_notes_is_left_alone(model: Path, content: str) -> None:
    """It reads as nothing, is not written over, and the refusal says why."""
    beside(model).write_text(content)
    assert read_notes(model) == ModelNotes()
    with pytest.raises(UnreadableNotes, match="chalk"):
        write_notes(model, ModelNotes(notes="x"))
    assert beside(model).read_text() == content


@pytest.mark.parametrize("weight", ["1.5", "x", None, True, [], 1e999])
def test_weights_of_every_kind(model: Path, weight: object) -> None:
    """A number is one as text, too; what is none counts for nothing."""
    beside(model).write_text(json.dumps({"preferred weight": weight, "notes": 7}))
    found = read_notes(model)
    assert found.weight == (1.5 if weight == "1.5" else 0.0)
    assert found.notes == "7"
