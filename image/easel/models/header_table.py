"""The JSON of a safetensors header, taken apart piece by piece, so that no text makes it take much memory.

A hundred megabytes of `[],[],[],…` are two gigabytes once a JSON reader has made lists of them, and a
hundred megabytes of letters four hundred once one of them is an emoji. Here nothing is made that a header
may not hold: names, short descriptions and texts, so many of each and no more. Read at the format's own limit
of 100 MB a header costs that and less than as much again.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from typing import Any

# A checkpoint of SDXL has 2500 tensors, the largest single files of language models some 30 000.
MOST_TENSORS = 50_000
# Letters of all names, and of all texts that are kept. A text that does not fit is left out: it is the
# trainer's notes on every picture it saw.
_MOST_NAMES, _MOST_TEXTS = 4_000_000, 6_000_000
# One description: type, 16 counts and two places take 500 bytes.
_LONGEST = 8192

_SPACE = rb"[ \t\n\r]*+"
# Possessive: a text of fifty million escapes leaves nothing behind to come back to.
_STRING = rb'"(?:[^"\\\x00-\x1f]++|\\[^\x00-\x1f])*+"'
_NAME = re.compile(_SPACE + b"(" + _STRING + b")" + _SPACE + b":" + _SPACE)
_TEXT = re.compile(_STRING)
_OPEN = re.compile(rb"\{" + _SPACE)
_NEXT = re.compile(_SPACE + rb"([,}])" + _SPACE)
_REST = re.compile(_SPACE)


class NotText(ValueError):
    """The metadata is something else than a table of texts."""


def read_table(text: bytes, take: Callable[[str, object], None]) -> dict[str, str]:
    """Give the description of each tensor to `take`, by name and in order; return the metadata.

    Raises ValueError for what is no JSON of a header, in a few words, and NotText.
    """
    table = _Table(text)
    if not table.opens():
        raise ValueError("it is no table")
    names: set[str] = set()
    metadata: dict[str, str] | None = None
    size = 0
    while table.goes_on:
        name = table.name()
        size += len(name)
        if name in names or (name == "__metadata__" and metadata is not None):
            raise ValueError("a name occurs twice")
        if name == "__metadata__":
            metadata = table.texts()
        else:
            names.add(name)
            take(name, table.value())
        if len(names) > MOST_TENSORS or size > _MOST_NAMES:
            raise ValueError(
                f"it names more than {MOST_TENSORS} tensors, or names them at too great a length"
            )
        table.step()
    table.ends()
    return metadata or {}


class _Table:
    """A place in the text. `goes_on` says whether another member of the present table follows."""

    def __init__(self, text: bytes) -> None:
        self._text, self._at = text, 0
        self.goes_on = False

    def opens(self) -> bool:
        """Whether a table begins here; then go into it."""
        found = _OPEN.match(self._text, self._at)
        if found is None:
            return False
        self._at = found.end()
        self.goes_on = self._text[self._at : self._at + 1] != b"}"
        if not self.goes_on:
            self._at += 1
        return True

    def name(self) -> str:
        """The next member's name."""
        found = _NAME.match(self._text, self._at)
        if found is None:
            raise self._damage("a name is missing")
        if found.end(1) - found.start(1) > _LONGEST:
            raise self._damage("a name is too long")
        self._at = found.end()
        return str(_decoded(found[1]))

    def value(self) -> object:
        """The next member's value, which is short."""
        part = self._text[self._at : self._at + _LONGEST]
        # Whatever is cut off at the end of the piece: a letter, or the value itself.
        text = codecs.getincrementaldecoder("utf-8")().decode(part)
        try:
            value, end = _DECODER.raw_decode(text)
        except RecursionError:
            raise self._damage("it is nested too deeply") from None
        self._at += end if text.isascii() else len(text[:end].encode())
        return value

    def texts(self) -> dict[str, str]:
        """The next member's value, which is a table of texts or null. Raises NotText."""
        if self._text.startswith(b"null", self._at):
            self._at += 4
            return {}
        if not self.opens():
            raise NotText("it is no table of texts")
        found: dict[str, str] = {}
        seen: set[str] = set()
        left = _MOST_TEXTS
        while self.goes_on:
            name = self.name()
            text = _TEXT.match(self._text, self._at)
            if text is None:
                raise NotText(f"{name[:40]!r} is no text")
            if name in seen:
                raise ValueError("a name occurs twice")
            seen.add(name)
            left -= len(name)
            if len(seen) > MOST_TENSORS or left < 0:
                raise ValueError("its metadata has too many entries")
            if (length := text.end() - self._at) <= left:
                found[name] = str(_decoded(text[0]))
                left -= length
            self._at = text.end()
            self.step()
        return found

    def step(self) -> None:
        """Go past the comma, or out of the table."""
        found = _NEXT.match(self._text, self._at)
        if found is None:
            raise self._damage("a comma or a brace is missing")
        self._at = found.end()
        self.goes_on = found[1] == b","

    def ends(self) -> None:
        """See that nothing follows but the spaces that writers pad with."""
        found = _REST.match(self._text, self._at)
        if found is not None and found.end() != len(self._text):
            raise self._damage("something follows it")

    def _damage(self, words: str) -> ValueError:
        return ValueError(f"{words} at byte {self._at}")


def _decoded(text: bytes) -> Any:
    try:
        return _DECODER.decode(text.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_number(value: str) -> object:
    raise ValueError(f"{value} is no number here")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_twins, parse_constant=_no_number)
