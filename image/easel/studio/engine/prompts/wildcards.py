"""Wildcards: text files with a word or phrase in each line, by the names that prompts call them.

`colours/warm.txt` is `__colours/warm__`, in any case. Empty lines and those that begin with `#` are none.
Files are found by walking their folders and links are not followed, so that no name leads out of them.
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

import structlog

from easel.models import walk

log = structlog.get_logger(__name__)

WILDCARDS_FOLDER = "wildcards"
"""The folder of a model store that they lie in."""
MAX_BYTES = 4 << 20
"""Of one file; the largest of the collections that people trade have a tenth of it."""
MAX_FILES = 20_000
MAX_LINES = 100_000
"""Of one name."""
_SUFFIX = ".txt"
_PATTERN = frozenset("*?[")


class Wildcards:
    """The wildcard files of some folders, read when they are first asked for. Of one name, all count."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = tuple(folders)
        self._lines: dict[str, tuple[str, ...]] = {}

    def names(self) -> tuple[str, ...]:
        """What the files are called, in small letters, in order."""
        return tuple(self._files)

    def lines(self, name: str) -> tuple[str, ...]:
        """The lines of the file of this name, or of all that a pattern (`a*`, `a/**/b`) fits; () for none.

        What stands in no folder of this name is looked for in all of them, as sd-dynamic-prompts does.
        """
        wanted = _key(name.replace("\\", "/").strip("/"))
        if wanted not in self._lines:
            lines = (
                line for key in self._called(wanted) for path in self._files[key] for line in _read(path)
            )
            self._lines[wanted] = tuple(islice(lines, MAX_LINES))
        return self._lines[wanted]

    def paths(self, name: str) -> tuple[Path, ...]:
        """The files of just this name; () for none."""
        return tuple(self._files.get(_key(name.strip("/")), ()))

    def _called(self, wanted: str) -> list[str]:
        if wanted in self._files:
            return [wanted]
        pattern = wanted if _PATTERN & set(wanted) else re.sub(r"([*?[])", r"[\1]", wanted)
        pattern = pattern.replace("**/", "*")
        for one in (pattern, f"*/{pattern}"):
            fits = re.compile(fnmatch.translate(one)).match
            found = [key for key in self._files if fits(key)]
            if found:
                return found
        return []

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        count = 0
        for folder in self._folders:
            for here, folders, names in walk(folder):
                folders[:] = [one for one in folders if not one.startswith(".")]
                for name in names:
                    path = here / name
                    if name.startswith(".") or path.suffix.lower() != _SUFFIX or path.is_symlink():
                        continue
                    count += 1
                    if count > MAX_FILES:
                        log.warning("wildcards left out: there are too many", most=MAX_FILES)
                        break
                    found.setdefault(_key(path.relative_to(folder).with_suffix("").as_posix()), []).append(
                        path
                    )
        return dict(sorted(found.items()))


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _read(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        log.warning("wildcards not read", file=path.name, error=str(error))
        return []
    if len(data) > MAX_BYTES:
        log.warning("wildcards left out: the file is too large", file=path.name, most=MAX_BYTES)
        return []
    lines = data.decode("utf-8-sig", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
