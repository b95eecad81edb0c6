"""A1111's four ways to bring a picture to the size that is drawn."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from PIL import Image

Enlarger = Callable[[Image.Image, float], Image.Image]
"""An upscaler: makes a picture about so many times larger, better than Lanczos does."""


class ResizeMode(IntEnum):
    """`resize_mode` of A1111's img2img."""

    JUST_RESIZE = 0
    """Stretched."""
    CROP_AND_RESIZE = 1
    """Covers the size; what sticks out is cut off on both sides."""
    RESIZE_AND_FILL = 2
    """Fits into the size; its edges are stretched over what is left."""
    LATENT_UPSCALE = 3
    """The picture's latents are stretched, bilinearly. What must be pixels all the same (a mask, an overlay)
    is stretched as in `JUST_RESIZE`. A1111 takes `RESIZE_AND_FILL` for masks here, which then lie elsewhere
    than the picture does, and fails where the sizes differ."""


def resized(
    image: Image.Image, mode: ResizeMode, width: int, height: int, enlarge: Enlarger | None = None
) -> Image.Image:
    """The picture (or mask), width × height pixels, in its own mode (L, RGB).

    `enlarge` takes the place of Lanczos where a picture grows; masks (mode L) never need it. It has to refuse
    what would grow too large.
    """
    if mode is ResizeMode.CROP_AND_RESIZE:
        return _covering(image, width, height, enlarge)
    if mode is ResizeMode.RESIZE_AND_FILL:
        return _filled(image, width, height, enlarge)
    return _stretched(image, width, height, enlarge)


def _stretched(image: Image.Image, width: int, height: int, enlarge: Enlarger | None) -> Image.Image:
    factor = max(width / image.width, height / image.height)
    if enlarge is not None and image.mode != "L" and factor > 1:
        image = enlarge(image, factor)
    if image.size == (width, height):
        return image.copy()
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _covering(image: Image.Image, width: int, height: int, enlarge: Enlarger | None) -> Image.Image:
    """Only what is kept is computed: a picture of 1 × 2048 that covers 2048 × 2048 has 8 billion pixels."""
    if width / height > image.width / image.height:
        whole = width, image.height * width // image.width
    else:
        whole = image.width * height // image.height, height
    factor = max(width / image.width, height / image.height)
    if enlarge is not None and image.mode != "L" and factor > 1:
        image = enlarge(image, factor)
    left, top = whole[0] // 2 - width // 2, whole[1] // 2 - height // 2
    across, down = image.width / whole[0], image.height / whole[1]
    kept = (
        left * across, top * down,
        min((left + width) * across, image.width), min((top + height) * down, image.height),
    )  # fmt: skip
    return image.resize((width, height), Image.Resampling.LANCZOS, box=kept)


def _filled(image: Image.Image, width: int, height: int, enlarge: Enlarger | None) -> Image.Image:
    if width / height < image.width / image.height:
        inner_width, inner_height = width, max(image.height * width // image.width, 1)
    else:
        inner_width, inner_height = max(image.width * height // image.height, 1), height
    inner = _stretched(image, inner_width, inner_height, enlarge)
    left, top = width // 2 - inner_width // 2, height // 2 - inner_height // 2
    right, bottom = left + inner_width, top + inner_height
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(inner, (left, top))
    # A box of no height is the edge itself: Pillow's bicubic filter around it, as A1111 asks for it.
    for place, size, edge in (
        ((0, 0), (width, top), (0, 0, inner_width, 0)),
        ((0, bottom), (width, height - bottom), (0, inner_height, inner_width, inner_height)),
        ((0, 0), (left, height), (0, 0, 0, inner_height)),
        ((right, 0), (width - right, height), (inner_width, 0, inner_width, inner_height)),
    ):
        if min(size) > 0:
            canvas.paste(inner.resize(size, box=edge), place)
    return canvas
