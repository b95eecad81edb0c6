"""What networks give, made into the maps that control models see: the extension's steps behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from easel.studio.engine.control.map_size import crests

_SAFE_STEPS = 2
_BLUR, _BRIGHT, _ANY = 3.0, 127, 4.5


def in_safe_steps(edges: Tensor, a: float, b: float) -> Tensor:
    """Edges (0 to 1) in three steps, which tell nothing of what was in the picture."""
    return in_steps(edges, _SAFE_STEPS, b)


def in_steps(edges: Tensor, steps: float, b: float) -> Tensor:
    """Edges (0 to 1) in so many steps above nothing; as they are without any."""
    steps = int(steps)
    return (edges * (steps + 1)).floor() / steps if steps else edges


def as_scribble(edges: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The crests of soft edges, as a thick brush would draw them."""
    from scipy import ndimage

    soft = ndimage.gaussian_filter(edges.astype(np.float32), _BLUR, mode="mirror", radius=12)
    lines = np.where(crests(soft) > _BRIGHT, np.float32(255), np.float32(0))
    # OpenCV's blur of bytes reaches three sigmas, of decimal numbers four
    thick = ndimage.gaussian_filter(lines, _BLUR, mode="mirror", radius=9) > _ANY
    return np.where(thick, np.uint8(255), np.uint8(0))
