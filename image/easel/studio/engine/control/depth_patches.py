"""Where LeReS++ looks again, and how closely: by how much changes in a picture (Miangoleh et al.,
"Boosting monocular depth estimation", CVPR 2021, sections 5 and 6), as A1111's extension counts it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

SEEN = 448
"""Pixels along a side of what the depth network takes in at once."""
MOST = 1600
"""The largest side that a picture is shown at."""
_CELL = 32
# Bounds that the extension has not: of the larger side of a picture that patches are chosen in, which a few
# dots on white would make 15,000 pixels (gigabytes), and of patches, each of which takes seconds.
_FINEST, _PATCHES = 4480, 24
# Of the strongest change, how much counts as one; the share of a picture that may be far from any.
_EDGE, _FAR, _LARGER = 0.4, 0.2, 3
_GREY = np.array([0.2989, 0.5870, 0.1140])
_STRIDE = 0.75

Grey = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """How closely a picture is to be looked at: at `side` pixels; and how much of it is `busy` (0 to 1)."""

    side: int
    busy: float

    @property
    def factor(self) -> float:
        """For its patches a picture is made as large as twice `side`, divided by this."""
        return max(min(1.0, 4 * self.busy * self.side / MOST), 0.2, 2 * self.side / _FINEST)


@dataclass(frozen=True)
class Patch:
    """A square of a picture, in pixels."""

    x: int
    y: int
    side: int

    def scaled(self, factor: float) -> tuple[slice, slice]:
        """Rows and columns of it in a picture that is so much larger."""
        x, y, side = np.round(np.array([self.x, self.y, self.side]) * factor).astype(int).tolist()
        return slice(y, y + side), slice(x, x + side)


def changes(pixels: Tensor) -> Grey:
    """(height, width): how much changes at each pixel of (1, 3, height, width), bytes as decimal numbers."""
    grey = pixels[0].permute(1, 2, 0).double().numpy() @ _GREY
    return np.asarray(sum(np.abs(ndimage.sobel(grey, axis, mode="mirror")) for axis in (0, 1)), np.float64)


def look(pixels: Tensor) -> Look:
    """The closest that leaves no more than a fifth of the picture without anything near that changes."""
    side = min(pixels.shape[2:])
    found = _smaller(changes(pixels), side)
    edges = (found >= found.min() + _EDGE * (found.max() - found.min())).astype(np.float64)
    first, most = SEEN // _CELL, int(min(MOST, _LARGER * max(pixels.shape[2:])) / _CELL)
    chosen, few = first, _few(edges, first)
    for cells in range(first, most, SEEN // (2 * _CELL)):
        few = _few(edges, cells)
        if 1 - _near(few, first).mean() > _FAR:
            break
        chosen = cells
    return Look(chosen * _CELL, float(_near(few, SEEN // (4 * _CELL)).mean()))


def _few(edges: Grey, cells: int) -> Grey:
    """Where edges are, in so many cells a side: the most of each, and what that is between them."""
    side = max(1, len(edges) // cells)
    padded = np.pad(edges, (0, -len(edges) % side))
    pooled = padded.reshape(len(padded) // side, side, -1, side).max(axis=(1, 3))
    return (_smaller(pooled, cells) >= 0.5).astype(np.float64)


def _near(edges: Grey, cells: int) -> Grey:
    """Where an edge is within a square of so many cells."""
    return np.asarray(ndimage.maximum_filter(edges, cells, mode="constant", cval=-np.inf))


def _smaller(found: Grey, side: int) -> Grey:
    """Square, by straight lines between what is next to each place and nothing further, as OpenCV's."""
    return np.asarray(F.interpolate(torch.from_numpy(found)[None, None], (side, side), mode="bilinear")[0, 0])


def patches(pixels: Tensor, factor: float) -> list[Patch]:
    """Squares in which as much changes as in the whole picture, each as large as that stays so; the largest
    first, and no more than 24."""
    found = changes(pixels)
    seen = found[found > 0]
    if not seen.size:
        return []
    found[found < seen.mean()] = 0
    usual, sums = found.mean(), np.pad(found, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    stride, step = round(SEEN * _STRIDE), int(_CELL / factor)
    height, width = found.shape
    kept = [
        _grown(Patch(x - SEEN, y - SEEN, 2 * SEEN), sums, usual, step)
        for x in range(SEEN, width - SEEN, stride)
        for y in range(SEEN, height - SEEN, stride)
        if _density(sums, Patch(x - SEEN, y - SEEN, 2 * SEEN)) >= usual
    ]
    return sorted(kept, key=lambda one: one.side, reverse=True)[:_PATCHES]


def _grown(patch: Patch, sums: Grey, usual: float, step: int) -> Patch:
    height, width = sums.shape
    while True:
        larger = Patch(patch.x - step // 2, patch.y - step // 2, patch.side + step)
        within = larger.x >= 0 and larger.y >= 0
        within = within and larger.y + larger.side < height and larger.x + larger.side < width
        if not within or _density(sums, larger) < usual:
            return patch
        patch = larger


def _density(sums: Grey, patch: Patch) -> float:
    """How much changes in a square, for each of its pixels."""
    x, y, side = patch.x, patch.y, patch.side
    inside = sums[y + side, x + side] - sums[y, x + side] - sums[y + side, x] + sums[y, x]
    return float(inside / side**2)
