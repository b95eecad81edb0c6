"""A picture as CLIP's image encoders were trained to see it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# CLIP's own means and deviations of red, green and blue.
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def clip_view(image: Image.Image, side: int) -> NDArray[np.float32]:
    """(3, side, side): the middle square of an RGB picture, its shorter side made `side` pixels long."""
    factor = side / min(image.size)
    # OpenAI's and transformers' way: the longer side is cut down to whole pixels, not rounded
    size = max(side, int(image.width * factor)), max(side, int(image.height * factor))
    small = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (small.width - side) // 2, (small.height - side) // 2
    pixels = np.asarray(small.crop((left, top, left + side, top + side)), np.float32) / 255
    return np.ascontiguousarray(((pixels - _MEAN) / _DEVIATION).transpose(2, 0, 1))
