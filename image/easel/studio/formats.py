"""Pictures as files with their infotext: PNG, JPEG or WebP, as `samples_format` names them."""

from __future__ import annotations

import io
import struct
from enum import StrEnum
from typing import TYPE_CHECKING

from easel.studio import png

if TYPE_CHECKING:
    from PIL.Image import Image

QUALITY = 80
"""`jpeg_quality`, of WebP as well."""

_EXIF_BLOCK, _USER_COMMENT = 0x8769, 0x9286
_LONG, _UNDEFINED = 4, 7
# A JPEG segment counts its bytes, and its own count, in 16 bits.
_MAX_JPEG_EXIF = 65_533


class PictureFormat(StrEnum):
    """How a picture is stored. The values are the files' endings."""

    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"

    @classmethod
    def _missing_(cls, value: object) -> PictureFormat | None:
        """Any case, a dot in front, and JPEG's other ending."""
        name = str(value).lower().removeprefix(".")
        return next((one for one in cls if one == ("jpg" if name == "jpeg" else name)), None)

    @property
    def media_type(self) -> str:
        """For HTTP."""
        return f"image/{'jpeg' if self is PictureFormat.JPEG else self}"


class TooLargeForFormat(ValueError):
    """A format has no room for so many pixels on a side."""


_MAX_SIDE = {PictureFormat.JPEG: 65_500, PictureFormat.WEBP: 16_383}


def encode(
    image: Image,
    parameters: str = "",
    picture_format: PictureFormat = PictureFormat.PNG,
    *,
    quality: int = QUALITY,
    lossless: bool = False,
) -> bytes:
    """The picture as a file; `png.read_texts` reads `parameters` out of each.

    `lossless` is WebP's. JPEG and WebP carry the text as EXIF's UserComment, in UTF-16 as A1111 writes it.
    One of more than 32,000 characters does not fit into a JPEG and is left out. Raises TooLargeForFormat.
    """
    if picture_format is PictureFormat.PNG:
        return png.encode(image, parameters)
    allowed = _MAX_SIDE[picture_format]
    if max(image.size) > allowed:
        raise TooLargeForFormat(
            f"a picture of {image.width}×{image.height} cannot be a {picture_format} file; allowed: {allowed}"
            " pixels on a side, more as png"
        )
    exif = _comment(parameters) if parameters else b""
    file = io.BytesIO()
    if picture_format is PictureFormat.WEBP:
        image.convert("RGB").save(file, format="WEBP", quality=quality, lossless=lossless, exif=exif)
    else:
        fits = len(exif) <= _MAX_JPEG_EXIF
        image.convert("RGB").save(file, format="JPEG", quality=quality, exif=exif if fits else b"")
    return file.getvalue()


def _comment(text: str) -> bytes:
    """EXIF with nothing but a UserComment, as piexif writes it for A1111. Pillow would call it numbers (BYTE
    in place of UNDEFINED), which A1111's reader stumbles over."""
    comment = b"UNICODE\0" + text.encode("utf-16-be", "replace")
    to_block = struct.pack(">HHHIII", 1, _EXIF_BLOCK, _LONG, 1, 26, 0)
    block = struct.pack(">HHHIII", 1, _USER_COMMENT, _UNDEFINED, len(comment), 44, 0)
    return b"Exif\0\0" + b"MM\0*" + struct.pack(">I", 8) + to_block + block + comment
