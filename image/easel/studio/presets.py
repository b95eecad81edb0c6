"""Presets: settings of the page's that a person keeps under a name, in one file beside their pictures."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from easel.models import write_whole
from easel.remark import figure, remark
from easel.studio.engine import InvalidRequest
from easel.studio.outputs import NotSaved

FILE = "presets.json"
MOST = 200
MOST_NAME = 60
MOST_BYTES = 20_000
"""Of one; the page's own have a few hundred."""


class Preset(BaseModel):
    """`fields` are the page's own names for its settings; what is not among them is as nobody set it."""

    name: str
    fields: dict[str, Any]


_FILE = TypeAdapter(list[Preset])


class PresetFile:
    """One person's. A person's tabs are with one replica: threads of one process wait for each other."""

    _here = threading.Lock()

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def read(self) -> list[Preset]:
        """In the order in which they were kept. Raises NotSaved for a file that is none."""
        try:
            return _FILE.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            raise NotSaved(f"your presets cannot be read; the operator finds them in {FILE}") from error

    def keep(self, preset: Preset) -> None:
        """One more, or another in the place of the one of that name. Raises InvalidRequest, NotSaved."""
        _check(preset)
        with self._here:
            others = [one for one in self.read() if one.name != preset.name]
            if len(others) >= MOST:
                full = remark("presets_full", "{n} presets or fewer", n=MOST)
                raise InvalidRequest("name", preset.name, full)
            self._write([*others, preset])

    def forget(self, name: str) -> None:
        """One less. That it is gone already is no fault. Raises NotSaved."""
        with self._here:
            self._write([one for one in self.read() if one.name != name])

    def _write(self, presets: list[Preset]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, _FILE.dump_json(presets))
        except OSError as error:
            raise NotSaved(f"the preset could not be kept: {error.strerror or error} ({FILE})") from error


def _check(preset: Preset) -> None:
    name = preset.name
    if not name or len(name) > MOST_NAME or not name.isprintable() or name != name.strip():
        allowed = remark(
            "preset_name", "1 to {most} printable characters, no space at either end", most=MOST_NAME
        )
        raise InvalidRequest("name", name[:MOST_NAME], allowed)
    if (size := len(preset.model_dump_json())) > MOST_BYTES:
        allowed = remark("preset_bytes", "up to {most} bytes", most=MOST_BYTES)
        raise InvalidRequest("fields", remark("counted_bytes", "{n} bytes", n=figure(size)), allowed)
