"""What a picture may be before anybody reads it: a file of a few kilobytes can ask for hours.

Pillow bounds pixels, and what the texts of a PNG unpack to. It reckons the weights of a resize for the whole
of a side at once while no other thread runs (16 million pixels in a row: eight seconds), and goes through a
file's pieces in Python, each some microseconds and some hundred bytes (a megabyte holds 80,000 of a PNG, and
250,000 of a JPEG). `picture_pieces` and `picture_tags` count them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easel.studio.picture_pieces import check_gif, check_jpeg, check_png
from easel.studio.picture_tags import TooManyPieces, check_exif, check_tags

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FORMATS", "LONGEST_SIDE", "TooManyPieces", "check_pieces", "is_long", "upright"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""What is opened of what people send: of the forty that Pillow knows some are programs (EPS)."""
LONGEST_SIDE = 65_535
"""Pixels: as long as a side of a JPEG can be."""
_ORIENTATION = 0x0112
_PACKED_BMP, _MOST_PACKED = (1, 2), 1_000_000
"""Runs of a BMP are unpacked in Python, pixel by pixel where somebody wants it so."""


def is_long(image: Image) -> bool:
    """Whether a side is longer than any that a picture has."""
    return max(image.size) > LONGEST_SIDE


def check_pieces(data: bytes) -> None:
    """Before a picture's file is opened. Raises TooManyPieces; what is none, or is cut short, is left to
    whoever reads it."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        check_png(data)
    elif data.startswith(b"\xff\xd8"):
        check_jpeg(data)
    elif data.startswith(b"GIF8"):
        check_gif(data)
    elif data.startswith(b"BM"):
        if data[30:31] in map(int.to_bytes, _PACKED_BMP) and len(data) > _MOST_PACKED:
            raise TooManyPieces
    else:
        check_tags(data)


def upright(image: Image) -> Image:
    """The picture turned as its EXIF says; the same object where there is nothing to turn.

    Pillow's own way reads all of the EXIF, to write it anew without that one number. Raises TooManyPieces.
    """
    from PIL.Image import Transpose

    check_exif(image)
    turned = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(image.getexif().get(_ORIENTATION, 1))
    return image if turned is None else image.transpose(turned)
