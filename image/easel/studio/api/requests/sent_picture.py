"""Pictures that requests carry: read with care, and made into what the engine takes.

Whatever comes (palettes, CMYK, sixteen bits, several frames, a camera that was held upright) leaves as an
upright picture of one frame in mode L, RGB or RGBA.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from easel.remark import remark, said_by
from easel.studio.picture_bounds import FORMATS, LONGEST_SIDE, check_pieces, is_long, upright
from easel.studio.png import UNREADABLE, NotAPicture, broken, encode, from_base64

if TYPE_CHECKING:
    from PIL.Image import Image

# A camera's picture has up to 50; more is nothing that anybody draws over, and unpacks to 200 MB at once.
MAX_MEGAPIXELS = 50
_PLAIN = ("L", "RGB", "RGBA")
# Whose frames are counted by going through all of them.
_COUNTED = ("GIF", "TIFF")


class BadPicture(NotAPicture):
    """A picture of a request cannot be read. `field` is the field that it came in."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class SentPictures:
    """The pictures that are drawn over, and the mask; files' bytes. `size` is the first one's, in pixels."""

    images: tuple[bytes, ...]
    size: tuple[int, int]
    mask: bytes = b""
    latent_mask: bytes = b""

    @classmethod
    def read(cls, images: Sequence[str], mask: str | None) -> Self:
        """From base64, bare or as data: URIs. Raises BadPicture."""
        found = [decoded(text, "init_images") for text in images]
        return cls(
            tuple(file for file, _ in found),
            found[0][1],
            decoded(mask, "mask")[0] if mask else b"",
        )

    @classmethod
    def of(cls, images: Sequence[Image], mask: Image | None = None, latent_mask: Image | None = None) -> Self:
        """From pictures in memory."""
        masks = [encode(one) if one else b"" for one in (mask, latent_mask)]
        return cls(tuple(encode(one) for one in images), images[0].size, *masks)

    @property
    def init_hash(self) -> str:
        """A1111's `Init image hash`: MD5 of the pixels, of several pictures the last one's."""
        from PIL import Image

        with Image.open(io.BytesIO(self.images[-1])) as image:
            return hashlib.md5(image.tobytes(), usedforsecurity=False).hexdigest()

    def with_image(self, image: Image) -> SentPictures:
        """Another picture under the same mask."""
        return replace(self, images=(encode(image),), size=image.size)


def decoded(text: str, field: str) -> tuple[bytes, tuple[int, int]]:
    """A picture's file and its size in pixels, upright, from base64. Raises BadPicture."""
    from PIL import Image, UnidentifiedImageError

    try:
        data = from_base64(text)
        check_pieces(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image)
                image.load()
                plain = _plain(image)
    except NotAPicture as e:
        raise BadPicture(field, said_by(e)) from e
    except Image.DecompressionBombError as e:
        raise BadPicture(field, _too_large(remark("picture_too_large", "too large"))) from e
    except UnidentifiedImageError as e:
        raise BadPicture(field, UNREADABLE) from e
    except Exception as e:  # Pillow's readers raise whatever a broken file makes them stumble over
        raise BadPicture(field, broken(e)) from e
    return (data if plain is image else encode(plain)), plain.size


def _too_large(size: str) -> str:
    return remark(
        "picture_large",
        "is {size}; at most {most} megapixels are taken: send it smaller, as large as it is to be drawn",
        size=size,
        most=MAX_MEGAPIXELS,
    )


def _check_size(image: Image) -> None:
    """Before its pixels are read: a small file may unpack to gigabytes."""
    pixels = image.width * image.height
    if pixels > MAX_MEGAPIXELS * 1_000_000:
        raise NotAPicture(_too_large(f"{image.width}x{image.height}"))
    if is_long(image):
        words = "is {size}; at most {most} pixels a side are taken"
        raise NotAPicture(
            remark("picture_long", words, size=f"{image.width}x{image.height}", most=LONGEST_SIDE)
        )


def _plain(image: Image) -> Image:
    """The picture upright in a mode that the engine knows; the same object where there is nothing to do."""
    turned = upright(image)
    if turned is image and (image.format in _COUNTED or getattr(image, "n_frames", 1) > 1):
        turned = image.copy()  # the first frame, which is the one at hand
    image = turned
    if image.mode in _PLAIN and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image)
    transparent = image.mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "L" if image.mode == "1" else "RGB")


def _eight_bits(image: Image) -> Image:
    """Sixteen bits as eight, and numbers of more by their own range: Pillow cuts off what is above 255."""
    import numpy as np
    from PIL import Image as pillow

    pixels = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    top = 65535 if image.mode.startswith("I") and pixels.max(initial=0) <= 65535 else pixels.max(initial=1)
    scaled = pixels.clip(0, top) * (255 / max(top, 1e-9))
    return pillow.fromarray(scaled.round().astype(np.uint8))
