"""Brings a map to the size of a pass, as A1111's extension does: what is black and white stays so, and thin
lines stay lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.studio.engine.imaging import ResizeMode, resized

_EVERY = np.ones((3, 3), bool)
_LINES = (
    ((0, 0, 0), (1, 1, 1), (0, 0, 0)), ((0, 1, 0), (0, 1, 0), (0, 1, 0)),
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)), ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
)  # fmt: skip
_HALF = 127


def at_size(image: Image.Image, mode: ResizeMode, width: int, height: int) -> Image.Image:
    """The map (RGB) at this size. With RESIZE_AND_FILL what is left free has the border's colour."""
    if image.size == (width, height):
        return image
    pixels = np.asarray(image)
    if mode is not ResizeMode.RESIZE_AND_FILL:
        fitted = resized(image, mode, width, height)
    else:
        factor = min(width / image.width, height / image.height)
        size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
        inner = resized(image, ResizeMode.JUST_RESIZE, *size)
        fitted = Image.new("RGB", (width, height), _border(pixels))
        fitted.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
    return _two_colours(pixels, fitted) if _is_two_colours(pixels) else fitted


def _is_two_colours(pixels: NDArray[np.uint8]) -> bool:
    first = pixels[..., 0]
    return bool(((first == 0) | (first == 255)).all() and (pixels == first[..., None]).all())


def _two_colours(before: NDArray[np.uint8], fitted: Image.Image) -> Image.Image:
    grey = np.asarray(fitted.convert("L"))
    if _is_lines(before[..., 0] > _HALF):
        grey = crests(grey)
    white = grey > _threshold(grey)
    return Image.fromarray(np.repeat(np.where(white, np.uint8(255), np.uint8(0))[..., None], 3, axis=2))


def _is_lines(white: NDArray[np.bool_]) -> bool:
    """Whether most of what is white is not wide enough for three pixels by three."""
    from scipy import ndimage

    wide = ndimage.binary_dilation(ndimage.binary_erosion(white, _EVERY, border_value=1), _EVERY)
    return bool((white & ~wide).sum() * 2 > white.sum())


def crests(grey: NDArray[Any]) -> NDArray[Any]:
    """What is brightest along any of four directions; the rest is black."""
    from scipy import ndimage

    crest = np.zeros(grey.shape, bool)
    for line in _LINES:
        crest |= ndimage.maximum_filter(grey, footprint=np.array(line, bool), mode="constant") == grey
    return np.where(crest, grey, grey.dtype.type(0))


def _threshold(grey: NDArray[np.uint8]) -> int:
    """Otsu's (IEEE SMC 9, 1979): where the two sides lie furthest apart."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256)
    below, sum_below = np.cumsum(counts), np.cumsum(counts * levels)
    above, sum_above = below[-1] - below, sum_below[-1] - sum_below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sum_below / below - sum_above / above) ** 2
    return int(np.nan_to_num(between, nan=-1.0).argmax())


def _border(pixels: NDArray[np.uint8]) -> tuple[int, int, int]:
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = np.median(edge, axis=0).astype(int).tolist()
    return red, green, blue
