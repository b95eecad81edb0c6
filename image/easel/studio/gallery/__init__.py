"""A person's own pictures: by day, words, stars and boards; small versions; shares within the endpoint."""

from easel.studio.gallery.entry import PictureEntry, entry_of
from easel.studio.gallery.errors import (
    BadBoard,
    BadPictureId,
    BoardNameTaken,
    GalleryBusy,
    GalleryError,
    GalleryFull,
    NoSuchBoard,
    NoSuchPicture,
    NoSuchRequest,
    NoSuchShare,
)
from easel.studio.gallery.gallery import Gallery, Page, Shown
from easel.studio.gallery.kept_requests import keep_request, request_of
from easel.studio.gallery.lists import Board, Share
from easel.studio.gallery.picture_id import PictureId
from easel.studio.gallery.shares import SharedPictures

__all__ = [
    "BadBoard",
    "BadPictureId",
    "Board",
    "BoardNameTaken",
    "Gallery",
    "GalleryBusy",
    "GalleryError",
    "GalleryFull",
    "NoSuchBoard",
    "NoSuchPicture",
    "NoSuchRequest",
    "NoSuchShare",
    "Page",
    "PictureEntry",
    "PictureId",
    "Share",
    "SharedPictures",
    "Shown",
    "entry_of",
    "keep_request",
    "request_of",
]
