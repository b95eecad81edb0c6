"""What a picture may be before anybody reads it: a file of a few kilobytes can ask for hours.

Pillow bounds pixels, and what the texts of a PNG unpack to. It reckons the weights of a resize for the whole
of a side at once while no other thread runs (16 million pixels in a row: eight seconds), and reads chunk by
chunk in Python (a megabyte holds 80,000 of them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""What is opened of what people send: of the forty that Pillow knows some are programs (EPS)."""
LONGEST_SIDE = 65_535
"""Pixels: as long as a side of a JPEG can be."""
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNKS, _SIDE_CHUNKS = 100_000, 1_000
"""Of a PNG; of pixels, which are 8 kB each as libpng writes them, and of all else."""


class TooManyChunks(ValueError):
    """A PNG is in so many pieces that reading it is the harm."""


def is_long(image: Image) -> bool:
    """Whether a side is longer than any that a picture has."""
    return max(image.size) > LONGEST_SIDE


def check_chunks(data: bytes) -> None:
    """Raises TooManyChunks; other files than PNG pass. What stands behind a chunk that is cut short is left
    to whoever reads it."""
    if not data.startswith(_PNG):
        return
    at, pixels, others = len(_PNG), 0, 0
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        if kind == b"IEND":
            return
        if kind == b"IDAT":
            pixels += 1
        else:
            others += 1
        if pixels > _CHUNKS or others > _SIDE_CHUNKS:
            raise TooManyChunks
        at += 12 + int.from_bytes(data[at : at + 4])
