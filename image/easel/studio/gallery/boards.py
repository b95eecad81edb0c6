"""Boards: pictures that a person put together under a name."""

from __future__ import annotations

import re
import time
import unicodedata
import uuid
from collections.abc import Callable, Sequence

from easel.remark import remark
from easel.studio.gallery.entry import folded
from easel.studio.gallery.errors import BadBoard, BoardNameTaken
from easel.studio.gallery.lists import (
    Board,
    ListsFiles,
    PersonalLists,
    check_room,
    find_board,
    with_names,
    without_names,
)
from easel.studio.gallery.owned_pictures import OwnedPictures
from easel.studio.gallery.picture_id import PictureId

MOST_BOARDS = 500
MOST_ON_A_BOARD = 10_000
LONGEST_NAME = 100
_BAD = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Boards:
    """Thread-safe. All of it may wait for a disk, or for another tab's change."""

    def __init__(self, pictures: OwnedPictures, lists: ListsFiles) -> None:
        self._pictures, self._lists = pictures, lists

    def all(self, owner: str) -> list[Board]:
        """The last made first, with the pictures that are there. Raises NotSaved."""
        boards = self._lists.read(self._pictures.folder(owner)).boards
        known = self._pictures.known(owner) if boards else set()
        return [_alive(board, known) for board in reversed(boards)]

    def make(self, owner: str, name: str) -> Board:
        """Raises BadBoard, BoardNameTaken, GalleryFull, GalleryBusy, NotSaved."""
        board = Board(id=uuid.uuid4().hex[:16], name=_plain(name), made_at=round(time.time(), 3))

        def edit(lists: PersonalLists) -> None:
            _check_free(lists, board)
            check_room(len(lists.boards) + 1, MOST_BOARDS, "boards")
            lists.boards.append(board)

        self._lists.change(self._pictures.folder(owner), edit)
        return board

    def rename(self, owner: str, id: str, name: str) -> Board:
        """Raises NoSuchBoard, BadBoard, BoardNameTaken, GalleryBusy, NotSaved."""

        def edit(lists: PersonalLists) -> None:
            board = find_board(lists, id)
            board.name = _plain(name)
            _check_free(lists, board)

        return self._changed(owner, id, edit)

    def fill(self, owner: str, id: str, add: Sequence[PictureId], remove: Sequence[PictureId]) -> Board:
        """Put pictures on a board and take others off. What is gone is not put. Raises NoSuchBoard,
        GalleryFull, GalleryBusy, NotSaved."""
        names = self._pictures.names(owner, add)

        def edit(lists: PersonalLists) -> None:
            board = find_board(lists, id)
            board.pictures = with_names(without_names(board.pictures, map(str, remove)), names)
            check_room(len(board.pictures), MOST_ON_A_BOARD, "pictures on a board")

        return self._changed(owner, id, edit)

    def delete(self, owner: str, id: str) -> None:
        """Delete a board and end its share; its pictures stay. Raises NoSuchBoard, GalleryBusy, NotSaved."""

        def edit(lists: PersonalLists) -> None:
            lists.boards.remove(find_board(lists, id))
            lists.shares = [share for share in lists.shares if share.board != id]

        self._lists.change(self._pictures.folder(owner), edit)

    def _changed(self, owner: str, id: str, edit: Callable[[PersonalLists], None]) -> Board:
        lists = self._lists.change(self._pictures.folder(owner), edit)
        return _alive(find_board(lists, id), self._pictures.known(owner))


def _plain(name: str) -> str:
    """Raises BadBoard."""
    plain = " ".join(unicodedata.normalize("NFC", name).split())
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise BadBoard("the board's name is not text") from None
    if not plain or len(plain) > LONGEST_NAME or _BAD.search(plain):
        raise BadBoard(
            remark(
                "bad_board",
                "a board's name has 1 to {most} letters, none of them a control character",
                most=LONGEST_NAME,
            )
        )
    return plain


def _check_free(lists: PersonalLists, board: Board) -> None:
    if any(one.id != board.id and folded(one.name) == folded(board.name) for one in lists.boards):
        raise BoardNameTaken(
            remark("board_taken", "there is a board {name} already: take another name", name=repr(board.name))
        )


def _alive(board: Board, known: set[str]) -> Board:
    return board.model_copy(update={"pictures": [name for name in board.pictures if name in known]})
