"""The team's wildcard files, written over HTTP: text files below `wildcards` in the model store."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from easel.models import write_whole
from easel.studio.engine import WILDCARDS_FOLDER, InvalidRequest, Wildcards
from easel.studio.outputs import NotSaved

MAX_BYTES = 1 << 20
"""Of one file's text. The largest that people trade have a few hundred kilobytes."""
MAX_FILES = 2_000
"""Written here; whoever has the disk may put more there."""
_SUFFIX = ".txt"
# What prompts can say between `__` and `__`, and every file system keep.
_PART = re.compile(r"[^\W_](?:[\w .-]*[^\W_])?")
_DEEPEST, _LONGEST = 4, 100


class NoSuchWildcard(Exception):
    """There is no wildcard file of this name."""


class WildcardFiles:
    """Those of a model store. What is written counts for the next picture; of two who write one file at once
    the later one's text stays, whole."""

    def __init__(self, store: Path) -> None:
        self._folder = store / WILDCARDS_FOLDER

    def lines(self) -> Iterator[tuple[str, int]]:
        """The names that prompts call them, and how many lines each has."""
        known = Wildcards([self._folder])
        for name in known.names():
            yield name, len(known.lines(name))

    def read(self, name: str) -> str:
        """A file's text. Raises NoSuchWildcard."""
        path = self._there(name)
        try:
            return path.read_bytes()[: 4 * MAX_BYTES].decode("utf-8-sig", "replace")
        except OSError as e:
            raise NoSuchWildcard(f"the wildcard {name[:_LONGEST]!r} cannot be read: {e.strerror}") from e

    def write(self, name: str, text: str) -> None:
        """Write a file, or over it. Raises InvalidRequest and NotSaved."""
        _check(name, text)
        known = Wildcards([self._folder])
        there = known.paths(name)
        if not there and len(known.names()) >= MAX_FILES:
            raise InvalidRequest("name", name, f"up to {MAX_FILES:,} files: delete some, or add lines to one")
        path = there[0] if there else self._folder / f"{name}{_SUFFIX}"
        if path.parent.resolve() != path.parent.absolute():
            raise InvalidRequest("name", name, "no folder that is a link to elsewhere")
        try:
            write_whole(path, text.encode())
        except OSError as e:
            raise NotSaved(f"the wildcard could not be kept: {e.strerror or e}") from e

    def delete(self, name: str) -> None:
        """Delete a file. Raises NoSuchWildcard and NotSaved."""
        try:
            os.unlink(self._there(name))
        except FileNotFoundError:
            return
        except OSError as e:
            raise NotSaved(f"the wildcard could not be deleted: {e.strerror or e}") from e

    def _there(self, name: str) -> Path:
        found = Wildcards([self._folder]).paths(name)
        if not found:
            raise NoSuchWildcard(f"there is no wildcard {name[:_LONGEST]!r}")
        return found[0]


def _check(name: str, text: str) -> None:
    parts = name.split("/")
    if (
        len(parts) > _DEEPEST
        or len(name.encode("utf-8", "replace")) > _LONGEST
        or "__" in name
        or not all(_PART.fullmatch(part) for part in parts)
    ):
        raise InvalidRequest(
            "name",
            name[:_LONGEST],
            f"letters, digits, spaces and .-_ with / between folders, up to {_LONGEST} bytes and {_DEEPEST} "
            "parts that begin and end with a letter or digit, no __",
        )
    try:
        size = len(text.encode())
    except UnicodeEncodeError as e:
        raise InvalidRequest("text", "half of a character", "text") from e
    if size > MAX_BYTES or "\0" in text:
        raise InvalidRequest("text", f"{size:,} bytes", f"up to {MAX_BYTES:,} bytes, no character of code 0")
