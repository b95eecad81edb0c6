"""What people wrote of a model: `NAME.json` beside it, with the names that A1111's cards use.

A1111's `ui_extra_networks_user_metadata.py` and its LoRA editor write `description`, `notes`, `activation
text`, `negative text`, `preferred weight` and `sd version`. All else in the file (our own `easel` table, what
other programs keep) stays as it is.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from easel.models.disk import write_whole
from easel.models.errors import FileError
from easel.models.model_file import sidecar_path
from easel.models.source_errors import NotWritable

ENDING = ".json"
_LIMIT = 1_000_000
_NAMES = {
    "words": "activation text",
    "negative_words": "negative text",
    "weight": "preferred weight",
    "notes": "notes",
    "description": "description",
}


class UnreadableNotes(FileError):
    """The file of notes holds something else than notes; it is left alone."""


@dataclass(frozen=True, slots=True)
class ModelNotes:
    """`words`, `negative_words` go into the prompts with it; `weight` is a LoRA's, 0 where none is said."""

    words: str = ""
    negative_words: str = ""
    weight: float = 0.0
    notes: str = ""
    description: str = ""


def read_notes(model: Path) -> ModelNotes:
    """What is written of `model`; empty where nothing is, or nothing that can be read."""
    try:
        said = _read(model)
    except UnreadableNotes:
        return ModelNotes()
    texts = {name: str(said.get(_NAMES[name]) or "") for name in _NAMES if name != "weight"}
    return ModelNotes(**texts, weight=_number(said.get(_NAMES["weight"])))


def write_notes(model: Path, notes: ModelNotes) -> None:
    """Write `notes` beside `model`; a file that would say nothing goes.

    Raises UnreadableNotes, NotWritable.
    """
    said = _read(model)
    for one in fields(notes):
        value = getattr(notes, one.name)
        if value:
            said[_NAMES[one.name]] = value
        else:
            said.pop(_NAMES[one.name], None)
    path = sidecar_path(model, ENDING)
    try:
        if said:
            write_whole(path, json.dumps(said, indent=4, ensure_ascii=False).encode("utf-8", "replace"))
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise NotWritable(model.name, f"its notes cannot be written ({error.strerror})") from None


def _read(model: Path) -> dict[str, Any]:
    path = sidecar_path(model, ENDING)
    try:
        if path.stat().st_size > _LIMIT:
            raise UnreadableNotes(path.name, "is too large for notes")
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnreadableNotes(path.name, f"cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise UnreadableNotes(path.name, "is no JSON; move it away to write notes here") from None
    if not isinstance(found, dict):
        raise UnreadableNotes(path.name, "is no table of notes; move it away to write notes here")
    return found


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0.0
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0
