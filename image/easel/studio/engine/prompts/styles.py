"""Styles: named pieces of prompt, kept in a `styles.csv` as A1111 keeps them.

Columns are `name`, `prompt` and `negative_prompt` (`text` for `prompt` in files of its first months). A style
that holds `{prompt}` is put around the prompt, any other behind it. Pure functions: where the files lie is
said elsewhere.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.prompts.prompt_length import check_length, check_replaced

_PLACE = "{prompt}"
_BLANKS = re.compile(" {2,}")
_FIELDS = ("prompt", "negative_prompt")
_COLUMNS = ("name", *_FIELDS)


@dataclass(frozen=True, slots=True)
class Style:
    """A named piece of prompt and of negative prompt."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""

    def apply(self, prompt: str, negative_prompt: str, fields: tuple[str, str] = _FIELDS) -> tuple[str, str]:
        """Both prompts with this style. Raises InvalidRequest, about one of `fields`, where one gets too
        long."""
        return (
            _applied(self.prompt, prompt, fields[0]),
            _applied(self.negative_prompt, negative_prompt, fields[1]),
        )

    def extract(self, prompt: str, negative_prompt: str) -> tuple[str, str] | None:
        """Both prompts as they were before this style; None where it does not stand in both."""
        if not self.prompt and not self.negative_prompt:
            return None
        one, other = _extracted(self.prompt, prompt), _extracted(self.negative_prompt, negative_prompt)
        return None if one is None or other is None else (one, other)


def apply_styles(
    styles: Iterable[Style], prompt: str, negative_prompt: str, fields: tuple[str, str] = _FIELDS
) -> tuple[str, str]:
    """Both prompts with these styles, one after the other. Raises InvalidRequest, about one of `fields`,
    where one gets too long."""
    for style in styles:
        prompt, negative_prompt = style.apply(prompt, negative_prompt, fields)
    return prompt, negative_prompt


def extract_styles(
    styles: Iterable[Style], prompt: str, negative_prompt: str
) -> tuple[list[Style], str, str]:
    """The styles that stand in both prompts, in the order in which they were applied, and what is left.

    The order in which they are given counts where one is the end of another. Each is found once.
    """
    left = list(styles)
    found: list[Style] = []
    while True:
        for style in left:
            before = style.extract(prompt, negative_prompt)
            if before is not None:
                break
        else:
            return found[::-1], prompt, negative_prompt
        left.remove(style)
        found.append(style)
        prompt, negative_prompt = before


def read_styles(text: str) -> dict[str, Style]:
    """The styles of a file by their names; of one name the last. Rows without a name are passed over.

    Raises InvalidRequest for what is no csv.
    """
    try:
        rows = list(
            csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), skipinitialspace=True)
        )
    except csv.Error as error:
        raise InvalidRequest("styles", str(error), "a file as A1111's styles.csv") from error
    found = {}
    for row in rows:
        name = row.get("name") or ""
        prompt = row.get("prompt", row.get("text")) or ""
        if name:
            found[name] = Style(name, prompt, row.get("negative_prompt") or "")
    return found


def write_styles(styles: Mapping[str, Style]) -> str:
    """The file for these styles, as A1111 writes it (put a byte order mark before it for Excel)."""
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(_COLUMNS)
    rows.writerows((style.name, style.prompt, style.negative_prompt) for style in styles.values())
    return out.getvalue()


def merge_styles(*files: Mapping[str, Style]) -> dict[str, Style]:
    """The styles of several files; of one name, that of the first file."""
    return {name: style for file in reversed(files) for name, style in file.items()}


def _applied(style: str, prompt: str, field: str) -> str:
    if _PLACE in style:
        check_replaced(field, style, _PLACE, prompt)
        return style.replace(_PLACE, prompt)
    together = ", ".join(filter(None, (prompt.strip(), style.strip())))
    if style:  # without one it is as it came
        check_length(field, len(together))
    return together


def _extracted(style: str, prompt: str) -> str | None:
    said, sought = (_BLANKS.sub(" ", text.strip()) for text in (prompt, style))
    if _PLACE in sought:
        left, _, right = sought.partition(_PLACE)
        fits = len(said) >= len(left) + len(right) and said.startswith(left) and said.endswith(right)
        return said[len(left) : len(said) - len(right)] if fits else None
    if not said.endswith(sought):
        return None
    return said[: len(said) - len(sought)].removesuffix(", ")
