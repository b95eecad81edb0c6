"""PNG files with A1111's `parameters` in them, and what other programs' pictures say about themselves."""

from __future__ import annotations

import base64
import binascii
import io
import json
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from easel.remark import Remark, remark
from easel.studio.infotext import write
from easel.studio.picture_bounds import FORMATS, check_pieces
from easel.studio.picture_tags import check_exif, check_exif_block

if TYPE_CHECKING:
    from PIL.Image import Image

# zlib's fastest: files grow by about a tenth against level 6, and writing one takes a fifth of the time.
FAST = 1
# For files that are kept.
SMALL = 6

# Where EXIF keeps a comment: the Exif block, and UserComment in it.
_EXIF_BLOCK, _USER_COMMENT = 0x8769, 0x9286
_MAX_TEXT = 1_000_000
_SAYING = (b"tEXt", b"zTXt", b"iTXt", b"eXIf")


UNREADABLE = remark(
    "picture_unreadable", "is not a picture that can be read here: send a PNG, JPEG or WebP file"
)


class NotAPicture(ValueError):
    """What came as a picture cannot be read as one. `field` is the field of the request that it came in."""

    field = "image"


def broken(error: Exception) -> Remark:
    """What there is to say where Pillow stumbles. Its own words are for people who write readers of files."""
    words = "is a broken picture ({kind}): save or download it again"
    return remark("picture_broken", words, kind=type(error).__name__)


def encode(
    image: Image,
    parameters: str = "",
    *,
    compress_level: int = FAST,
    texts: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """The picture as a PNG file; `parameters`, and other `texts` by their names, as tEXt, or as iTXt when
    Latin-1 cannot hold them."""
    from PIL.PngImagePlugin import PngInfo

    said = {**({"parameters": parameters} if parameters else {}), **texts}
    text = None
    if said:
        text = PngInfo()
        for name, value in said.items():
            text.add_text(name, value)
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
        raise NotAPicture(
            remark(
                "picture_address",
                "is an address; this server fetches no pictures: send the picture itself as base64",
            )
        )
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError) as e:
        raise NotAPicture(remark("not_base64", "is not base64")) from e
    if not data:
        raise NotAPicture(remark("picture_empty", "is empty"))
    return data


def read_texts(data: bytes) -> dict[str, str]:
    """All texts a picture carries by their names; a comment, and what NovelAI writes, is under `parameters`.

    Only headers are read, never pixels, so that a small file which unpacks to gigabytes costs nothing.
    Raises NotAPicture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        check_pieces(data)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            info: dict[Any, Any] = image.info | (_chunks(data) if image.format == "PNG" else {})
            texts = {str(key): value[:_MAX_TEXT] for key, value in info.items() if isinstance(value, str)}
            if "parameters" not in texts:
                found = _exif_comment(image, info) or _as_text(info.get("comment")) or _novelai(texts, image)
                if found:
                    texts["parameters"] = found
    except (UnidentifiedImageError, Image.DecompressionBombError) as e:
        raise NotAPicture(UNREADABLE) from e
    except Exception as e:  # Pillow's readers raise whatever a broken file makes them stumble over
        raise NotAPicture(broken(e)) from e
    return {key: value.encode("utf-8", "replace").decode() for key, value in texts.items()}


def _chunks(data: bytes) -> dict[str, Any]:
    """Texts and EXIF of a PNG wherever they stand: Pillow reads those behind the pixels only with them."""
    from PIL.PngImagePlugin import PngStream

    file = io.BytesIO(data)
    file.seek(8)
    found: dict[str, Any] = {}
    stream = PngStream(file)
    while True:
        try:
            kind, position, length = stream.read()
        except (OSError, SyntaxError, struct.error):
            break  # cut short: what came before counts
        if kind == b"IEND":
            break
        if kind in _SAYING:
            stream.call(kind, position, length)
            if exif := stream.im_info.get("exif"):
                found["exif"] = exif
        file.seek(position + length + 4)
    return found | stream.im_text


def _exif_comment(image: Image, info: Mapping[str, Any]) -> str:
    """EXIF's UserComment, in its own block or, as some programs write it, beside it."""
    from PIL import Image as pillow

    exif = pillow.Exif()
    if image.format == "PNG":
        said = info.get("exif") or b""
        check_exif_block(said.removeprefix(b"Exif\0\0"))
        exif.load(said)  # asking a PNG would decode its pixels
    else:
        check_exif(image)
        exif = image.getexif()
    for block in (exif.get_ifd(_EXIF_BLOCK), exif):
        if text := _as_text(block.get(_USER_COMMENT)):
            return text
    return ""


def _novelai(texts: Mapping[str, str], image: Image) -> str:
    """NovelAI's own texts as an infotext: the prompt is `Description`, the rest JSON in `Comment`."""
    if texts.get("Software") != "NovelAI":
        return ""
    try:
        said = json.loads(texts.get("Comment", ""))
    except ValueError:
        return ""
    if not isinstance(said, dict):
        return ""
    keys = {"Steps": "steps", "Sampler": "sampler", "CFG scale": "scale", "Seed": "seed"}
    values = {key: said[name] for key, name in keys.items() if isinstance(said.get(name), str | int | float)}
    # As A1111 reads them: NovelAI's models are drawn with the last layer but one.
    line = {**values, "Size": f"{image.width}x{image.height}", "Clip skip": 2, "ENSD": 31337}
    negative = said.get("uc") if isinstance(said.get("uc"), str) else ""
    prompt = texts.get("Description") or str(said.get("prompt") or "")
    return write(prompt, str(negative), line)


def _as_text(comment: object) -> str:
    if isinstance(comment, str):
        return comment[:_MAX_TEXT].rstrip("\0")
    return _comment(comment[:_MAX_TEXT]) if isinstance(comment, bytes) else ""


def _comment(comment: bytes) -> str:
    if comment.startswith(b"UNICODE\0"):
        body = comment[8:]
        # The standard leaves the byte order open. Most texts are ASCII: the zeros are the high bytes.
        order = "utf-16-le" if body[1::2].count(0) > body[::2].count(0) else "utf-16-be"
        return body.decode(order, "replace").rstrip("\0")
    if comment.startswith(b"ASCII\0\0\0"):
        comment = comment[8:]
    return comment.decode("utf-8", "replace").rstrip("\0")
