"""Styles: prompts that somebody saved under a name, in A1111's `styles.csv`.

One file of the endpoint's team, `outputs/<endpoint>/styles.csv`, and one of each person beside their
pictures. A person's own comes before the team's of the same name. Columns are A1111's: `name`, `prompt`,
`negative_prompt`; a file of its own can be copied there as it is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from easel.studio.outputs import Outputs

log = structlog.get_logger(__name__)

FILE = "styles.csv"
# A1111's longest collections have some two thousand.
MAX_BYTES = 4_000_000
_PLACE = "{prompt}"


@dataclass(frozen=True)
class Style:
    """A style by its name. The prompt is put where `{prompt}` stands in it, else in front of it."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""


class Styles:
    """The styles of a team and of its people, read when they are asked for: files may change at any time."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs

    def known(self, owner: str) -> dict[str, Style]:
        """What `owner` may use, by name."""
        return _read(self._outputs.folder / FILE) | _read(self._outputs.owned(owner) / FILE)

    def find(self, owner: str, names: Sequence[str]) -> tuple[list[Style], list[str]]:
        """The styles of these names in order, and the names that there is no style of."""
        known = self.known(owner) if names else {}
        return [known[name] for name in names if name in known], [name for name in names if name not in known]


def with_styles(prompt: str, styles: Iterable[str]) -> str:
    """A prompt with the texts of styles in it."""
    for style in styles:
        if _PLACE in style:
            prompt = style.replace(_PLACE, prompt)
        else:
            prompt = ", ".join(part for part in (prompt.strip(), style.strip()) if part)
    return prompt


def _read(path: Path) -> dict[str, Style]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return {}
    found: dict[str, Style] = {}
    try:
        for row in csv.DictReader(io.StringIO(text, newline="")):
            name = (row.get("name") or "").strip()
            if name and not _divider(name):
                # A1111's first files had one column for the prompt, called `text`.
                prompt = row.get("prompt") or row.get("text") or ""
                found[name] = Style(name, prompt, row.get("negative_prompt") or "")
    except csv.Error as e:
        log.warning("styles unreadable", path=str(path), reason=str(e))
    return found


def _divider(name: str) -> bool:
    """A1111's page writes headings between styles as names in dashes."""
    return name.startswith("---") and name.endswith("---")
