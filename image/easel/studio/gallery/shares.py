"""Links to a picture or a board, for others of the endpoint.

Who has the token and is let in at the door sees what is shared, and nothing else of its owner. What is shared
stands in the owner's lists; `.shares/<hash of the token>.json` says whose those are, and alone means nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from easel.models import write_whole
from easel.remark import remark
from easel.studio.gallery.entry import PictureEntry
from easel.studio.gallery.errors import NoSuchPicture, NoSuchShare
from easel.studio.gallery.lists import ListsFiles, PersonalLists, Share, check_room, find_board
from easel.studio.gallery.owned_pictures import OwnedPictures
from easel.studio.gallery.picture_id import PictureId
from easel.studio.outputs import NotSaved

MOST_SHARES = 1_000
_BYTES = 24
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, slots=True)
class SharedPictures:
    """What a share gives to see now. `board` is the board's name, "" of a single picture."""

    board: str
    pictures: list[tuple[PictureId, PictureEntry]]


class Shares:
    """Thread-safe. `folder` holds whose each token is."""

    def __init__(self, pictures: OwnedPictures, lists: ListsFiles, folder: Path) -> None:
        self._pictures, self._lists, self._folder = pictures, lists, folder

    def all(self, owner: str) -> list[Share]:
        """What `owner` shares and is there, the newest first. Raises NotSaved."""
        shares = self._lists.read(self._pictures.folder(owner)).shares
        known = self._pictures.known(owner) if shares else set()
        return [share for share in reversed(shares) if share.board or share.picture in known]

    def share(self, owner: str, *, picture: PictureId | None = None, board: str | None = None) -> Share:
        """Share one picture or one board; what is shared already keeps its token. Raises NoSuchPicture,
        NoSuchBoard, GalleryFull, GalleryBusy, NotSaved."""
        if picture is not None:
            self._pictures.find(owner, picture)
        fresh = Share(
            token=secrets.token_urlsafe(_BYTES),
            picture=str(picture) if picture else None,
            board=board,
            made_at=round(time.time(), 3),
        )
        found = fresh

        def edit(lists: PersonalLists) -> None:
            nonlocal found
            if board is not None:
                find_board(lists, board)
            for share in lists.shares:
                if (share.picture, share.board) == (fresh.picture, fresh.board):
                    found = share
                    return
            check_room(len(lists.shares) + 1, MOST_SHARES, "shares")
            lists.shares.append(fresh)

        self._lists.change(self._pictures.folder(owner), edit)
        try:
            # Again for one that was shared before: its file may have been lost.
            write_whole(self._path(found.token), json.dumps({"owner": owner}).encode())
        except OSError as error:
            raise NotSaved(f"the share could not be kept: {error.strerror or error}") from error
        return found

    def end(self, owner: str, token: str) -> None:
        """Only its owner can. Raises NoSuchShare, GalleryBusy, NotSaved."""

        def edit(lists: PersonalLists) -> None:
            left = [share for share in lists.shares if share.token != token]
            if len(left) == len(lists.shares):
                raise NoSuchShare(_NOTHING)
            lists.shares = left

        self._lists.change(self._pictures.folder(owner), edit)
        with suppress(OSError):  # alone it means nothing
            self._path(token).unlink(missing_ok=True)

    def see(self, token: str) -> SharedPictures:
        """Raises NoSuchShare, NotSaved."""
        owner, board, names = self._named(token)
        found = self._pictures.index(owner).entries([PictureId.parse(name) for name in names])
        if not board and not found:
            raise NoSuchShare(_NOTHING)
        return SharedPictures(board, found)

    def find(self, token: str, id: PictureId) -> Path:
        """Where a picture of a share lies. Raises NoSuchShare, NoSuchPicture, NotSaved."""
        owner, _, names = self._named(token)
        if str(id) not in names:
            raise NoSuchPicture(
                remark("no_such_picture", "there is no picture {id} here; it may have been deleted", id=id)
            )
        return self._pictures.find(owner, id)

    def _named(self, token: str) -> tuple[str, str, list[str]]:
        """Whose, a board's name, and which pictures, some of them gone perhaps."""
        try:
            owner = str(json.loads(self._path(token).read_bytes())["owner"])
        except (OSError, ValueError, KeyError, TypeError):
            raise NoSuchShare(_NOTHING) from None
        lists = self._lists.read(self._pictures.folder(owner))
        for share in lists.shares:
            if share.token == token and share.picture:
                return owner, "", [share.picture]
            if share.token == token and share.board:
                board = find_board(lists, share.board)
                return owner, board.name, board.pictures
        raise NoSuchShare(_NOTHING)

    def _path(self, token: str) -> Path:
        """Raises NoSuchShare for what is no token."""
        if not _TOKEN.fullmatch(token):
            raise NoSuchShare(_NOTHING)
        return self._folder / f"{hashlib.sha256(token.encode()).hexdigest()}.json"


_NOTHING = "nothing is shared here, or not any more: ask whoever sent the link"
