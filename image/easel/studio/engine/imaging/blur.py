"""The Gaussian blur that A1111 gives masks: OpenCV's for bytes, to the bit.

Pillow's is a pile of box blurs: off by up to 4 of 255 and some pixels narrower, which moves the region that
"only masked" cuts out. OpenCV itself would be 60 MB for one filter.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_ONE = 256
"""Weights are whole 256ths, and a sum of them times a byte fits into 16 bits."""


def blurred(mask: Image.Image, sigma_x: float, sigma_y: float) -> Image.Image:
    """A mask (mode L) blurred along each axis by itself; 0 leaves an axis as it is. Sigmas in pixels."""
    pixels = np.asarray(mask)
    if sigma_x > 0:
        pixels = _along_columns(pixels.T, _weights(sigma_x)).T
    if sigma_y > 0:
        pixels = _along_columns(pixels, _weights(sigma_y))
    return Image.fromarray(np.ascontiguousarray(pixels))


def _weights(sigma: float) -> list[int]:
    """Of 2 * int(2.5 * sigma + 0.5) + 1 pixels; they add up to 256, what rounding takes from one is given to
    the next (`getGaussianKernelFixedPoint_ED` of OpenCV's smooth.dispatch.cpp)."""
    reach = int(2.5 * sigma + 0.5)
    curve = [math.exp(-(distance**2) / (2 * sigma**2)) for distance in range(reach, 0, -1)]
    whole = 2 * sum(curve) + 1
    half, rest = [], 0.0
    for height in curve:
        exact = height / whole * _ONE + rest
        half.append(round(exact))
        rest = exact - half[-1]
    return [*half, _ONE - 2 * sum(half), *reversed(half)]


def _along_columns(pixels: NDArray[np.uint8], weights: list[int]) -> NDArray[np.uint8]:
    """Beyond the edge the mask is mirrored, without its last row."""
    height, reach = len(pixels), len(weights) // 2
    wide = np.pad(pixels, ((reach, reach), (0, 0)), mode="reflect").astype(np.uint16)
    total = np.full(pixels.shape, _ONE // 2, np.uint16)
    for offset, weight in enumerate(weights):
        if weight:
            total += wide[offset : offset + height] * np.uint16(weight)
    return (total // _ONE).astype(np.uint8)
