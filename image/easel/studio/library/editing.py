"""What people change of a model that is in the store: its words and notes, its name, its picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from easel.models import (
    FileError,
    Kind,
    ModelError,
    ModelFile,
    NotWritable,
    Store,
    destination,
    read_notes,
    rename_model,
    sidecar_path,
    write_notes,
    write_whole,
)
from easel.remark import remark
from easel.studio.library.previews import NoPicture
from easel.studio.owner import NotYours

PREVIEW_SIDE = 512
_PREVIEW = ".preview.png"


class NoSuchModel(ModelError):
    """There is no model of this kind and name."""


class StillWanted(FileError):
    """A ticket with an embedding's name in its prompt, or a request that names nothing, needs it as it is."""


class ModelEditor:
    """`wanted` says why a model may not be renamed now, "" where it may; `changed` hears of every change."""

    def __init__(self, store: Store, wanted: Callable[[ModelFile], str], changed: Callable[[], None]) -> None:
        self._store, self._wanted, self._changed = store, wanted, changed

    def find(self, kind: Kind, name: str) -> ModelFile:
        """The model whose path below its kind's folder is `name`, exactly. Raises NoSuchModel."""
        for look_again in (False, True):
            if look_again:
                self._store.refresh()
            for file in self._store.files(kind):
                if file.name == name:
                    return file
        raise NoSuchModel(
            remark(
                "no_such_model",
                "there is no {kind} {name}; it may have been renamed or deleted",
                kind=kind.words,
                name=repr(name[:200]),
            )
        )

    def write(self, kind: Kind, name: str, said: dict[str, Any]) -> None:
        """Set some of its notes (the fields of ModelNotes).

        Raises NoSuchModel, NotYours, UnreadableNotes, NotWritable.
        """
        file = self._own(kind, name)
        write_notes(file.path, replace(read_notes(file.path), **said))
        self._changed()

    def rename(self, kind: Kind, name: str, folder: str, new: str) -> ModelFile:
        """Give it another name, another folder or both, and return it as it is called now.

        Raises NoSuchModel, NotYours, StillWanted, BadName, NameTaken, NotWritable.
        """
        file = self._own(kind, name)
        target = destination(self._store, kind, folder, new)
        if file.path.is_dir():
            target = target.with_name(new)
        if target == file.path:
            return file
        if why := self._wanted(file):
            raise StillWanted(file.name, why)
        rename_model(self._store, file, target)
        self._changed()
        return self.find(kind, target.relative_to(self._store.folder(kind)).as_posix())

    def show(self, kind: Kind, name: str, picture: Path) -> None:
        """Make a small copy of `picture` its preview. What the picture says of itself (prompts) is left out.

        Raises NoSuchModel, NotYours, NoPicture, NotWritable.
        """
        file = self._own(kind, name)
        try:
            with Image.open(picture, formats=("PNG", "JPEG", "WEBP")) as opened:
                opened.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
                made = io.BytesIO()
                Image.frombytes("RGB", opened.size, opened.convert("RGB").tobytes()).save(made, "PNG")
        except (OSError, ValueError, SyntaxError):
            raise NoPicture("the picture cannot be read") from None
        try:
            write_whole(sidecar_path(file.path, _PREVIEW), made.getvalue())
        except OSError as error:
            raise NotWritable(file.name, f"its preview cannot be written ({error.strerror})") from None
        self._changed()

    def _own(self, kind: Kind, name: str) -> ModelFile:
        """Raises NotYours for what is shown by a link: it is its operator's, and lies elsewhere."""
        file = self.find(kind, name)
        top = self._store.folder(kind)
        if not file.path.resolve().is_relative_to(top.resolve()):
            raise NotYours(
                remark(
                    "linked_model",
                    "{name} is shown by a link and lies elsewhere: it is changed there",
                    name=file.name,
                )
            )
        return file
