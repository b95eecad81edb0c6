"""Each person's pictures: which there are, and where they lie."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from easel.remark import remark
from easel.studio.gallery.entry import PictureEntry
from easel.studio.gallery.errors import NoSuchPicture
from easel.studio.gallery.owner_index import OwnerIndex
from easel.studio.gallery.picture_id import PictureId
from easel.studio.outputs import Outputs

MOST_KNOWN = 100_000
"""Pictures of all people together that are held in memory: up to 1 kB each."""


class OwnedPictures:
    """Thread-safe. Who is not the owner finds nothing."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._indexes: OrderedDict[Path, OwnerIndex] = OrderedDict()
        self._lock = threading.Lock()

    def folder(self, owner: str) -> Path:
        """What holds everything of `owner`."""
        return self._outputs.owned(owner)

    def index(self, owner: str) -> OwnerIndex:
        """All of `owner`, page by page. Whose was asked for longest ago is forgotten when there are many."""
        folder = self.folder(owner)
        with self._lock:
            index = self._indexes.setdefault(folder, OwnerIndex(folder))
            self._indexes.move_to_end(folder)
            while len(self._indexes) > 1 and sum(one.size for one in self._indexes.values()) > MOST_KNOWN:
                self._indexes.popitem(last=False)
            return index

    def add(self, path: Path, entry: PictureEntry) -> None:
        """A picture was saved: whose index is in memory need not read it."""
        with self._lock:
            index = self._indexes.get(path.parent.parent)
        if index:
            index.add(entry, path.parent.name)

    def known(self, owner: str) -> set[str]:
        """The names of all that are there, as `PictureId` writes them."""
        return {str(id) for id in self.index(owner).known()}

    def find(self, owner: str, id: PictureId) -> Path:
        """Where a picture lies. Raises NoSuchPicture."""
        path = self._outputs.picture(owner, id.day, id.name)
        if path is None:
            raise NoSuchPicture(
                remark("no_such_picture", "there is no picture {id} here; it may have been deleted", id=id)
            )
        return path

    def files(self, owner: str, ids: Iterable[PictureId]) -> list[Path]:
        """Where those of `ids` lie that are there."""
        found = (self._outputs.picture(owner, id.day, id.name) for id in dict.fromkeys(ids))
        return [path for path in found if path]

    def names(self, owner: str, ids: Iterable[PictureId]) -> list[str]:
        """The names of those of `ids` that are there."""
        return [f"{path.parent.name}/{path.name}" for path in self.files(owner, ids)]
