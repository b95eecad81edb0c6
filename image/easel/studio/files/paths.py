"""Paths as callers write them (`models/Lora/style.safetensors`, `outputs/2026-11-01`) and what they name.

Nothing of a caller's path is trusted: each part is checked, and links are followed by rule. Nobody can make
one through Easel, so a link in the store is its operator's and meant: what a kind's own folder is linked to
(a whole folder of A1111's) is as if it lay there. Through a link below that, which leads out of the store,
models are seen and fetched; no other file is, and nothing is removed. A link to what is hidden, to a folder
that the store lies in, or out of a person's pictures leads nowhere.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from easel.models import GGUF, SAFETENSORS, Kind, Store, walk
from easel.studio.files.access import FileAccess
from easel.studio.outputs import Outputs
from easel.studio.owner import NotYours

_BAD = re.compile(r"[\x00-\x1f\x7f\\\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".txt")
LONGEST = 4096
_KINDS = tuple(kind.folder for kind in Kind)


class BadPath(Exception):
    """A path that leads nowhere here. The message says what paths look like."""


class NoSuchFile(Exception):
    """There is nothing at a path, or nothing that this caller may know of."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file or folder. `path` is as callers write it; `size` in bytes, `modified` in Unix seconds."""

    path: str
    folder: bool
    size: int = 0
    modified: float = 0.0


@dataclass(frozen=True, slots=True)
class ResolvedPath:
    """Where a path leads: `real` on the disk with every link followed, `item` as callers see it.

    `linked`: it lies elsewhere and is shown by a link; it is to be read only.
    """

    root: str
    real: Path
    item: Item
    linked: bool = False

    @property
    def is_model(self) -> bool:
        """Whether it is in the store of models."""
        return self.root == "models"


def parts_of(path: str) -> list[str]:
    """The parts of a path, each of them one name. Raises BadPath."""
    if len(path) > LONGEST:
        raise BadPath(f"the path has {len(path)} letters; at most {LONGEST} are possible")
    parts = path.strip("/").split("/") if path.strip("/") else []
    for part in parts:
        plain = unicodedata.normalize("NFKC", part)
        try:
            length = len(part.encode())
        except UnicodeEncodeError:
            raise BadPath("the path is not text") from None
        if (
            part.startswith(".")
            or plain.strip() in ("", ".", "..")
            or "/" in plain
            or "\\" in plain
            or _BAD.search(part)
            or length > 255
        ):
            raise BadPath(
                f"{path[:200]!r} is no path here: it looks like models/Lora/style.safetensors or "
                "outputs/2026-11-01/00001-7.png, without . and .."
            )
    return parts


class PathResolver:
    """What a caller can reach: the store's folders, and the pictures that are the caller's."""

    def __init__(self, store: Store, outputs: Outputs) -> None:
        self._store, self._outputs = store, outputs

    def find(self, access: FileAccess, path: str) -> ResolvedPath:
        """The file or folder at `path`. Raises BadPath, NoSuchFile, NotYours."""
        parts = parts_of(path)
        if not parts:
            return ResolvedPath("", self._store.root, Item("", True))
        top = self._top(access, parts)
        if len(parts) == 1:
            return ResolvedPath(parts[0], top, Item(parts[0], True))
        nothing = NoSuchFile(f"there is nothing at {path!r}; `easel files ls` shows what there is")
        if parts[0] == "models" and parts[1] not in _KINDS:
            raise nothing
        fence = top / parts[1] if parts[0] == "models" else top
        try:
            real = top.joinpath(*parts[1:]).resolve(strict=True)
            linked = not real.is_relative_to(fence.resolve(strict=True))
            status = real.stat()
        except (OSError, RuntimeError, ValueError):
            raise nothing from None
        if linked and not (parts[0] == "models" and self._may_lead(real, stat.S_ISDIR(status.st_mode))):
            raise nothing
        found = _item("/".join(parts), real, status, parts[0])
        if found is None:
            raise nothing
        return ResolvedPath(parts[0], real, found, linked)

    def entries(self, access: FileAccess, place: ResolvedPath, *, deep: bool = False) -> Iterator[Item]:
        """What a folder holds, by name; hidden and unfinished files are nobody's business.

        With `deep` what is below it too, each folder once, however many links lead to it.
        """
        if not place.root:
            for name in (*(["models"] if access.member else []), "outputs"):
                yield Item(name, True)
                if deep:
                    yield from self.entries(access, self.find(access, name), deep=True)
            return
        for here, folders, names in walk(place.real, follow=True):
            above = "/".join((place.item.path, *here.relative_to(place.real).parts))
            found = {name: item for name in (*folders, *names) if (item := self._item(access, above, name))}
            yield from (found[name] for name in sorted(found))
            folders[:] = [name for name in folders if deep and name in found]

    def _item(self, access: FileAccess, above: str, name: str) -> Item | None:
        try:
            return self.find(access, f"{above}/{name}").item
        except (BadPath, NoSuchFile):
            return None

    def _may_lead(self, real: Path, folder: bool) -> bool:
        """Whether a link below a kind's folder may lead to `real`."""
        if real.is_relative_to(self._store.root):
            parts = real.relative_to(self._store.root).parts
            return bool(parts) and parts[0] in _KINDS and not any(part.startswith(".") for part in parts)
        return not self._store.root.is_relative_to(real) and (
            folder or real.suffix.lower() in (SAFETENSORS, GGUF)
        )

    def _top(self, access: FileAccess, parts: list[str]) -> Path:
        if parts[0] == "models":
            if not access.member:
                raise NotYours("models are for the team: sign in with a link or token of this endpoint")
            return self._store.root
        if parts[0] == "outputs":
            return self._outputs.folder if access.operator else self._outputs.owned(access.owner)
        raise NoSuchFile(f"there is no {parts[0]!r}; there are models and outputs")


def _item(path: str, real: Path, status: os.stat_result, root: str) -> Item | None:
    if stat.S_ISDIR(status.st_mode):
        return Item(path, True, 0, status.st_mtime)
    if not stat.S_ISREG(status.st_mode):
        return None
    # What else lies with pictures are the owner's settings.
    if root == "outputs" and real.suffix.lower() not in _PICTURES:
        return None
    return Item(path, False, status.st_size, status.st_mtime)
