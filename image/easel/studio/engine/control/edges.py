"""Canny's edges (IEEE PAMI 8, 1986) as OpenCV finds them in bytes, to the pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# tan 22.5° in 32768ths, as OpenCV compares whole numbers
_TANGENT = 13573
_SHIFT = 15


def canny(pixels: NDArray[np.uint8], low: float, high: float) -> NDArray[np.uint8]:
    """Edges (height, width), 255 on 0, of a picture (height, width, 3): what is steeper than `high`, and
    what is steeper than `low` and touches such. Steepness is |dx| + |dy| by Sobel's 3x3, of the colour where
    it is the most."""
    low, high = sorted((low, high))
    across, down = _slopes(pixels)
    steep = np.abs(across) + np.abs(down)
    colour = steep.argmax(axis=2)[..., None]
    across, down, steep = (np.take_along_axis(one, colour, 2)[..., 0] for one in (across, down, steep))
    ridge = _ridges(across, down, steep) & (steep > np.floor(low))
    pieces, count = ndimage.label(ridge, structure=np.ones((3, 3), bool))
    strong = np.zeros(count + 1, bool)
    strong[pieces[ridge & (steep > np.floor(high))]] = True
    strong[0] = False
    return np.where(strong[pieces], np.uint8(255), np.uint8(0))


def _slopes(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    wide = np.pad(pixels.astype(np.int32), ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    columns = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    return rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]


def _ridges(
    across: NDArray[np.int32], down: NDArray[np.int32], steep: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Where no neighbour along the slope is steeper; of two alike, along rows and columns the first."""
    wide = np.pad(steep, 1)

    def neighbour(row: int, column: int) -> NDArray[np.int32]:
        height, width = steep.shape
        return wide[1 + row : 1 + row + height, 1 + column : 1 + column + width]

    x, y = np.abs(across).astype(np.int64), np.abs(down).astype(np.int64) << _SHIFT
    flat = y < x * _TANGENT
    upright = y > x * _TANGENT + (x << (_SHIFT + 1))
    along = (steep > neighbour(0, -1)) & (steep >= neighbour(0, 1))
    over = (steep > neighbour(-1, 0)) & (steep >= neighbour(1, 0))
    falling = (steep > neighbour(-1, -1)) & (steep > neighbour(1, 1))
    rising = (steep > neighbour(-1, 1)) & (steep > neighbour(1, -1))
    slanted: NDArray[np.bool_] = np.where((across ^ down) < 0, rising, falling)
    return np.where(flat, along, np.where(upright, over, slanted))
