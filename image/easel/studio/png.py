"""PNG files with A1111's `parameters` in them, and what other programs' pictures say about themselves."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

# zlib's fastest: files grow by about a tenth against level 6, and writing one takes a fifth of the time.
FAST = 1
# For files that are kept.
SMALL = 6

# Where EXIF keeps a comment: the Exif block, and UserComment in it.
_EXIF_BLOCK, _USER_COMMENT = 0x8769, 0x9286
_MAX_TEXT = 1_000_000


class NotAPicture(ValueError):
    """What came as a picture cannot be read as one."""


def encode(image: Image, parameters: str = "", *, compress_level: int = FAST) -> bytes:
    """The picture as a PNG file; `parameters` as tEXt, or as iTXt when Latin-1 cannot hold it."""
    from PIL.PngImagePlugin import PngInfo

    text = None
    if parameters:
        text = PngInfo()
        text.add_text("parameters", parameters)
    file = io.BytesIO()
    image.save(file, format="PNG", pnginfo=text, compress_level=compress_level)
    return file.getvalue()


def encode_preview(image: Image, *, side: int = 512, quality: int = 80) -> bytes:
    """A small JPEG for the page: previews come many times a second and need not be exact."""
    if max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side))
    file = io.BytesIO()
    image.convert("RGB").save(file, format="JPEG", quality=quality)
    return file.getvalue()


def from_base64(text: str) -> bytes:
    """The bytes of a picture sent as bare base64 or as a `data:` URI. Raises NotAPicture."""
    if text.startswith(("http://", "https://")):
        raise NotAPicture("is an address; this server fetches no pictures: send the picture itself as base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError) as e:
        raise NotAPicture(f"is not base64: {e}") from e
    if not data:
        raise NotAPicture("is empty")
    return data


def read_texts(data: bytes) -> dict[str, str]:
    """All texts a picture carries by their names; a JPEG's or WebP's comment is under `parameters`.

    Only headers are read, never pixels, so that a small file which unpacks to gigabytes costs nothing.
    Raises NotAPicture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            texts = {
                str(key): value[:_MAX_TEXT] for key, value in image.info.items() if isinstance(value, str)
            }
            if "parameters" not in texts:
                comment = image.getexif().get_ifd(_EXIF_BLOCK).get(_USER_COMMENT)
                if isinstance(comment, bytes) and comment:
                    texts["parameters"] = _comment(comment[:_MAX_TEXT])
    except (UnidentifiedImageError, Image.DecompressionBombError) as e:
        raise NotAPicture(f"is not a picture that can be read here: {e}") from e
    except Exception as e:  # Pillow's readers raise whatever a broken file makes them stumble over
        raise NotAPicture(f"is a broken picture: {type(e).__name__}: {e}") from e
    return {key: value.encode("utf-8", "replace").decode() for key, value in texts.items()}


def _comment(comment: bytes) -> str:
    if comment.startswith(b"UNICODE\0"):
        body = comment[8:]
        # The standard leaves the byte order open. Most texts are ASCII: the zeros are the high bytes.
        order = "utf-16-le" if body[1::2].count(0) > body[::2].count(0) else "utf-16-be"
        return body.decode(order, "replace").rstrip("\0")
    if comment.startswith(b"ASCII\0\0\0"):
        comment = comment[8:]
    return comment.decode("utf-8", "replace").rstrip("\0")
