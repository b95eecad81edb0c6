"""Paths as callers write them (`models/Lora/style.safetensors`, `outputs/2026-11-01`) and what they name.

Nothing of a caller's path is trusted: each part is checked, and what it leads to must lie below its root
after every link is followed.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from easel.models import Kind, Store
from easel.studio.files.caller import Caller
from easel.studio.outputs import Outputs

_BAD = re.compile(r"[\x00-\x1f\x7f\\\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".txt")
LONGEST = 4096
_KINDS = tuple(kind.folder for kind in Kind)


class BadPath(Exception):
    """A path that leads nowhere here. The message says what paths look like."""


class NoSuchFile(Exception):
    """There is nothing at a path, or nothing that this caller may know of."""


class NotYours(Exception):
    """The caller may not do this; the message says who may."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file or folder. `path` is as callers write it; `size` in bytes, `modified` in Unix seconds."""

    path: str
    folder: bool
    size: int = 0
    modified: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: `real` on the disk with every link followed, `item` as callers see it."""

    root: str
    real: Path
    item: Item

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


class Places:
    """What a caller can reach: the store's folders, and the pictures that are the caller's."""

    def __init__(self, store: Store, outputs: Outputs) -> None:
        self._store, self._outputs = store, outputs

    def find(self, caller: Caller, path: str) -> Place:
        """The file or folder at `path`. Raises BadPath, NoSuchFile, NotYours."""
        parts = parts_of(path)
        if not parts:
            return Place("", self._store.root, Item("", True))
        top = self._top(caller, parts)
        if len(parts) == 1:
            return Place(parts[0], top, Item(parts[0], True))
        nothing = NoSuchFile(f"there is nothing at {path!r}; `easel files ls` shows what there is")
        if parts[0] == "models" and parts[1] not in _KINDS:
            raise nothing
        # A kind's own folder may be a link to a whole folder of A1111's; nothing below it may lead out of it.
        fence = top / parts[1] if parts[0] == "models" else top
        try:
            real = top.joinpath(*parts[1:]).resolve(strict=True)
            if not real.is_relative_to(fence.resolve(strict=True)):
                raise nothing
            status = real.stat()
        except (OSError, RuntimeError, ValueError):
            raise nothing from None
        found = _item("/".join(parts), real, status, parts[0])
        if found is None:
            raise nothing
        return Place(parts[0], real, found)

    def entries(self, caller: Caller, place: Place) -> Iterator[Item]:
        """What a folder holds, by name; hidden and unfinished files are nobody's business."""
        if not place.root:
            yield from (Item(name, True) for name in (*(["models"] if caller.member else []), "outputs"))
            return
        try:
            names = sorted(os.listdir(place.real))
        except OSError:
            return
        for name in names:
            path = f"{place.item.path}/{name}"
            try:
                yield self.find(caller, path).item
            except (BadPath, NoSuchFile):
                continue

    def _top(self, caller: Caller, parts: list[str]) -> Path:
        if parts[0] == "models":
            if not caller.member:
                raise NotYours("models are for the team: sign in with a link or token of this endpoint")
            return self._store.root
        if parts[0] == "outputs":
            return self._outputs.folder if caller.operator else self._outputs.owned(caller.owner)
        raise NoSuchFile(f"there is no {parts[0]!r}; there are models and outputs")


def _item(path: str, real: Path, status: os.stat_result, root: str) -> Item | None:
    import stat

    if stat.S_ISDIR(status.st_mode):
        return Item(path, True, 0, status.st_mtime)
    if not stat.S_ISREG(status.st_mode):
        return None
    # What else lies with pictures are the owner's settings.
    if root == "outputs" and real.suffix.lower() not in _PICTURES:
        return None
    return Item(path, False, status.st_size, status.st_mtime)
