"""From what somebody painted to the mask that is inpainted: white is drawn anew."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from easel.studio.engine.imaging.blur import blurred

_OPAQUE = 128


class CropRegion(NamedTuple):
    """A rectangle of pixels, right and bottom not included: what Pillow calls a box."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top


def mask_from(image: Image.Image, *, rounded: bool = True) -> Image.Image:
    """The mask (mode L) that a picture means: its alpha if anything in it is transparent, else its luminance.

    Alpha is rounded to black and white unless soft inpainting wants it as it is; luminance never is, as in
    A1111.
    """
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            return alpha.point(lambda value: 255 if value > _OPAQUE else 0) if rounded else alpha
    return image.convert("L")


def prepared_mask(
    painted: Image.Image,
    size: tuple[int, int],
    *,
    invert: bool = False,
    blur_x: float = 4,
    blur_y: float = 4,
    rounded: bool = True,
) -> Image.Image:
    """The mask over a picture of `size`, inverted and blurred in A1111's order.

    One of another size is stretched over the picture; A1111 lays it on the upper left corner.
    """
    mask = mask_from(painted, rounded=rounded)
    if mask.size != size:
        mask = mask.resize(size, Image.Resampling.BILINEAR)
    return blurred(ImageOps.invert(mask) if invert else mask, blur_x, blur_y)


def strengthened(mask: Image.Image) -> Image.Image:
    """The mask that is pasted back with when the whole picture was drawn: twice as strong, so that the blur
    fades out only outside of what was painted."""
    return mask.point(lambda value: min(value * 2, 255))


def at_latent_size(
    mask: Image.Image, width: int, height: int, *, rounded: bool = True
) -> NDArray[np.float32]:
    """The mask as (height, width) latent pixels from 0 to 1; 1 is drawn anew. `rounded`: 0 and 1 only."""
    small = np.array(mask.convert("L").resize((width, height)), np.float32)
    small /= 255
    return small.round() if rounded else small


def masked_region(mask: Image.Image, padding: int = 0) -> CropRegion | None:
    """What encloses all that is not black, and `padding` pixels around it as far as there are any; None for
    a black mask, which A1111 answers with plain img2img and a comment."""
    box = mask.getbbox()
    if box is None:
        return None
    left, top, right, bottom = box
    return CropRegion(
        max(left - padding, 0),
        max(top - padding, 0),
        min(right + padding, mask.width),
        min(bottom + padding, mask.height),
    )


def at_aspect(region: CropRegion, aspect: float, picture: tuple[int, int]) -> CropRegion:
    """The region, grown to `aspect` (width / height of what is drawn) as far as the picture reaches."""
    left, top, right, bottom = region
    if region.width / region.height > aspect:
        top, bottom = _grown(top, bottom, region.width / aspect, picture[1])
    else:
        left, right = _grown(left, right, region.height * aspect, picture[0])
    return CropRegion(left, top, right, bottom)


def _grown(start: int, end: int, wanted: float, limit: int) -> tuple[int, int]:
    """A span that grows on both sides; what one edge of the picture refuses grows on the other side."""
    more = int(wanted - (end - start))
    start, end = start - more // 2, end + more - more // 2
    if end > limit:
        start, end = start - (end - limit), limit
    if start < 0:
        start, end = 0, min(end - start, limit)
    return start, end
