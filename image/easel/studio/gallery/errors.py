"""What a gallery refuses. Each message says what to do."""

from __future__ import annotations


class GalleryError(Exception):
    """What goes wrong with a person's own pictures."""


class BadPictureId(GalleryError):
    """This can be nobody's picture."""


class NoSuchPicture(GalleryError):
    """The caller has no such picture."""


class NoSuchRequest(GalleryError):
    """What a picture was drawn from is not kept, beyond what it says itself."""


class NoSuchBoard(GalleryError):
    """The caller has no such board."""


class BadBoard(GalleryError):
    """A board cannot be called so."""


class BoardNameTaken(GalleryError):
    """The caller has a board of this name."""


class NoSuchShare(GalleryError):
    """Nothing is shared under a token, or not any more."""


class GalleryFull(GalleryError):
    """More is to be kept than a person ever needs."""


class GalleryBusy(GalleryError):
    """Another tab or replica is changing the same lists and does not come to an end."""
