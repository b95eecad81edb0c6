"""The Gaussian blur that A1111 gives masks: OpenCV's for bytes, to the bit.

Pillow's is a pile of box blurs, some pixels narrower, which moves the region that "only masked" cuts out.
OpenCV itself would be 60 MB for one filter.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_ONE = 256
"""Weights are whole 256ths."""
_ROWS = 256
"""So many at once: the transform of a row takes 16 bytes per pixel."""


def blurred(mask: Image.Image, sigma_x: float, sigma_y: float) -> Image.Image:
    """A mask (mode L) blurred along each axis by itself; 0 leaves an axis as it is. Sigmas in pixels."""
    pixels = np.asarray(mask)
    if sigma_x > 0:
        pixels = _along_rows(pixels, _weights(sigma_x))
    if sigma_y > 0:
        pixels = _along_rows(pixels.T, _weights(sigma_y)).T
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


def _along_rows(pixels: NDArray[np.uint8], weights: list[int]) -> NDArray[np.uint8]:
    """Beyond the edge the mask is mirrored, without its last pixel.

    By Fourier transforms: the 321 weights of a blur of 64 would be as many passes. Sums are whole numbers
    below 65,536, so that rounding makes them exact.
    """
    reach = len(weights) // 2
    length = pixels.shape[1] + 2 * reach
    curve = np.fft.rfft(weights, length)
    result = np.empty(pixels.shape, np.uint8)
    for first in range(0, len(pixels), _ROWS):
        wide = np.pad(pixels[first : first + _ROWS], ((0, 0), (reach, reach)), mode="reflect")
        sums = np.rint(np.fft.irfft(np.fft.rfft(wide) * curve, length)[:, 2 * reach :])
        result[first : first + _ROWS] = (sums + _ONE // 2) // _ONE
    return result
