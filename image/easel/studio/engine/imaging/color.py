"""`img2img_color_correction` and `img2img_background_color`.

In A1111 the first is OpenCV's LAB, scikit-image's `match_histograms` and blendmodes' luminosity blend; all
three are a page of arithmetic, and none of them is installed here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
"""Linear sRGB to XYZ; its inverse is what OpenCV goes back by."""
_WHITE = np.array([0.950456, 1.0, 1.088754])
"""D65."""
_LUMA = np.array([0.299, 0.587, 0.114])
_DARK, _SLOPE, _OFFSET = 0.008856, 7.787, 16 / 116


def flattened(image: Image.Image, background: str = "#ffffff") -> Image.Image:
    """The picture (RGB) on a colour, given as CSS writes it. Raises ValueError for what is no colour."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    canvas = Image.new("RGBA", image.size, background)
    transparent = image.convert("RGBA")
    canvas.paste(transparent, mask=transparent)
    return canvas.convert("RGB")


def corrected(drawn: Image.Image, original: Image.Image) -> Image.Image:
    """The drawing with the original's distribution of colours and its own lightness (RGB).

    `original` is what went into the VAE, filled and cropped. Comes before the overlay.
    """
    pixels = np.asarray(drawn.convert("RGB"))
    recoloured = _to_rgb(_matched(to_lab(pixels), to_lab(np.asarray(original.convert("RGB")))))
    blend = _with_luma(recoloured / 255, (pixels / 255) @ _LUMA)
    return Image.fromarray(np.around(blend * 255).clip(0, 255).astype(np.uint8))


def _matched(lab: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each channel moved so that its values are distributed as the reference's are; fractions are cut off."""
    channels = []
    for values, wanted in zip(np.moveaxis(lab, -1, 0), np.moveaxis(reference, -1, 0), strict=True):
        counts = np.bincount(wanted.ravel())
        levels = np.flatnonzero(counts)
        share = np.cumsum(np.bincount(values.ravel(), minlength=256)) / values.size
        moved = np.interp(share, np.cumsum(counts[levels]) / wanted.size, levels)
        channels.append(moved.astype(np.uint8)[values])
    return np.stack(channels, axis=-1)


def to_lab(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """CIE L*a*b* as bytes: L of 255 in place of 100, a and b around 128.

    In OpenCV's whole numbers: matching histograms makes a jump of ten out of one that is rounded otherwise.
    """
    roots = _ROOTS[(_LINEAR[pixels] @ _FROM_LINEAR + (1 << 11)) >> 12].astype(np.int64)
    x, y, z = np.moveaxis(roots, -1, 0)
    lab = np.stack([296 * y - 1336934, 500 * (x - y) + (128 << 15), 200 * (y - z) + (128 << 15)], axis=-1)
    return ((lab + (1 << 14)) >> 15).clip(0, 255).astype(np.uint8)


def _to_rgb(lab: NDArray[np.uint8]) -> NDArray[np.uint8]:
    lightness, a, b = np.moveaxis(lab.astype(np.float64), -1, 0)
    y = (lightness / 2.55 + 16) / 116
    root = np.stack([y + (a - 128) / 500, y, y - (b - 128) / 200], axis=-1)
    dark = _SLOPE * _DARK + _OFFSET
    xyz = np.where(root > dark, root**3, (root - _OFFSET) / _SLOPE) * _WHITE
    linear = (xyz @ np.linalg.inv(_FROM_RGB).T).clip(0, 1)
    curved = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.around(curved * 255), np.uint8)


def _with_luma(colours: NDArray[np.float64], luma: NDArray[np.float64]) -> NDArray[np.float64]:
    """The colours, all as bright as `luma` says; what leaves 0 to 1 goes towards grey (W3C's `SetLum`)."""
    moved = colours + (luma - colours @ _LUMA)[..., None]
    grey = (moved @ _LUMA)[..., None]
    low, high = moved.min(axis=-1, keepdims=True), moved.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.where(low < 0, grey + (moved - grey) * grey / (grey - low), moved)
        moved = np.where(high > 1, grey + (moved - grey) * (1 - grey) / (high - grey), moved)
    return np.asarray(moved)


def _linear() -> NDArray[np.int64]:
    """The light of each byte of sRGB, white is 8 * 255."""
    level = np.arange(256) / 255
    light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return np.around(light * 8 * 255).astype(np.int64)


def _roots() -> NDArray[np.int64]:
    """The cube root of each light, straight where it is dark; 1 is 1 << 15."""
    light = np.arange(1.5 * 8 * 255) / (8 * 255)
    root = np.where(light < _DARK, light * _SLOPE + _OFFSET, np.cbrt(light))
    return np.around(root * (1 << 15)).astype(np.int64)


_LINEAR, _ROOTS = _linear(), _roots()
_FROM_LINEAR = np.around(_FROM_RGB / _WHITE[:, None] * (1 << 12)).astype(np.int64).T
