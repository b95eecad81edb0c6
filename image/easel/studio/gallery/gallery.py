"""Everybody's gallery: each person's own pictures, what they made of them, and what was shared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from easel.remark import remark
from easel.studio.gallery.boards import Boards
from easel.studio.gallery.entry import PictureEntry, words_of
from easel.studio.gallery.kept_requests import forget_requests
from easel.studio.gallery.lists import (
    ListsFiles,
    PersonalLists,
    check_room,
    find_board,
    with_names,
    without_names,
)
from easel.studio.gallery.owned_pictures import OwnedPictures
from easel.studio.gallery.owner_index import note_saved
from easel.studio.gallery.picture_id import PictureId
from easel.studio.gallery.shares import Shares
from easel.studio.gallery.small_pictures import SmallPictures
from easel.studio.outputs import NotSaved, Outputs

MOST_STARS = 20_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture with what its owner made of it; `boards` are ids."""

    id: PictureId
    entry: PictureEntry
    starred: bool
    boards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some pictures, the newest first. The next page is `before` `next`, if any; `total` counts all pages."""

    pictures: list[Shown]
    next: PictureId | None
    total: int


class Gallery:
    """Thread-safe. What blocks waits for a disk, or for another tab's change."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._lists = ListsFiles()
        self._small = SmallPictures()
        self.pictures = OwnedPictures(outputs)
        self.boards = Boards(self.pictures, self._lists)
        self.shares = Shares(self.pictures, self._lists, outputs.folder / ".shares")
        outputs.listen(self)

    def page(
        self,
        owner: str,
        *,
        before: PictureId | None = None,
        limit: int = 60,
        words: str = "",
        starred: bool = False,
        board: str | None = None,
    ) -> Page:
        """`owner`'s pictures that are older than `before`; with `words` in their prompts, with a star, on a
        board. Raises NoSuchBoard, NotSaved."""
        lists = self._lists.read(self.pictures.folder(owner))
        only: Set[PictureId] | None = None
        if starred:
            only = _ids(lists.stars)
        if board is not None:
            there = _ids(find_board(lists, board).pictures)
            only = there if only is None else only & there
        found = self.pictures.index(owner).page(before, limit, words_of(words), only)
        return Page(_shown(lists, found.pictures), found.next, found.total)

    def small(self, path: Path) -> Future[bytes]:
        """The small version of a picture, a WebP file. The future raises OSError if the picture is gone,
        ValueError if it is none."""
        return self._small.get(path)

    def star(self, owner: str, ids: Sequence[PictureId], starred: bool) -> None:
        """Give pictures a star, or take it. What is gone gets none. Raises GalleryFull, GalleryBusy,
        NotSaved."""
        names = self.pictures.names(owner, ids) if starred else [str(id) for id in ids]

        def edit(lists: PersonalLists) -> None:
            lists.stars = (with_names if starred else without_names)(lists.stars, names)
            check_room(len(lists.stars), MOST_STARS, "pictures with a star")

        self._lists.change(self.pictures.folder(owner), edit)

    def starred(self, folder: Path) -> Set[str]:
        """The pictures with a star of whoever has this folder, as `DAY/NAME`. Raises NotSaved."""
        return set(self._lists.read(folder).stars)

    def delete(self, owner: str, ids: Sequence[PictureId]) -> list[PictureId]:
        """Delete pictures for good; those that went. Raises NotSaved if some could not be."""
        paths = self.pictures.files(owner, ids)
        went = self._outputs.remove(paths)
        if left := [path.name for path in paths if path not in set(went) and path.exists()]:
            raise NotSaved(
                remark(
                    "not_deleted",
                    "{n} of {of} pictures could not be deleted, {one} among them",
                    n=len(left),
                    of=len(paths),
                    one=left[0],
                )
            )
        return [PictureId.of(path.parent.name, path.name) for path in went]

    def saved(self, path: Path, file: bytes) -> None:
        """A picture was saved (`OutputsListener`)."""
        try:
            self.pictures.add(path, note_saved(path, file))
        except OSError:  # deleted at once
            return
        self._small.prepare(path)

    def gone(self, paths: Sequence[Path]) -> None:
        """Pictures were deleted, by their owner or by retention (`OutputsListener`)."""
        by_owner: dict[Path, list[str]] = {}
        for path in paths:
            by_owner.setdefault(path.parent.parent, []).append(f"{path.parent.name}/{path.name}")
        for folder, names in by_owner.items():
            self._lists.drop(folder, names)
        forget_requests(paths)


def _ids(names: Iterable[str]) -> set[PictureId]:
    return {PictureId.parse(name) for name in names}


def _shown(lists: PersonalLists, found: list[tuple[PictureId, PictureEntry]]) -> list[Shown]:
    names = {str(id) for id, _ in found}
    stars = names.intersection(lists.stars)
    boards: dict[str, list[str]] = {}
    for board in lists.boards:
        for name in names.intersection(board.pictures):
            boards.setdefault(name, []).append(board.id)
    return [Shown(id, entry, str(id) in stars, tuple(boards.get(str(id), ()))) for id, entry in found]
