"""Five points of a face, drawn as the ControlNet of InstantID (Wang et al., arXiv 2401.07519) was trained to
see them."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from easel.studio.engine.control.face_points import FacePoints, largest
from easel.studio.engine.control.preprocessors import Pixels
from easel.studio.engine.errors import NoFace

_COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
_NOSE = 2
_STICK, _RADIUS, _DARKER = 4, 10, 0.6


class FaceMap:
    """What finds a face, and the picture of its points."""

    def __init__(self, points: FacePoints) -> None:
        self._points = points

    def __call__(self, pixels: Tensor) -> Tensor:
        """(height, width, 3), bytes. Raises InvalidRequest where no face is seen."""
        face = largest(self._points.faces((pixels * 255).round().to(torch.uint8)))
        if face is None:
            raise NoFace
        height, width = pixels.shape[-2:]
        return torch.from_numpy(drawn_points(face.points, width, height))


def drawn_points(points: NDArray[np.float64], width: int, height: int) -> Pixels:
    """(height, width, 3). Sticks from eyes and mouth to the nose, each in the colour of its other end and
    darker, under circles."""
    canvas = Image.new("RGB", (width, height))
    brush = ImageDraw.Draw(canvas)
    for one in (0, 1, 3, 4):
        dark = tuple(int(value * _DARKER) for value in _COLOURS[one])
        brush.polygon(_stick(points[one], points[_NOSE]), fill=dark)
    drawn = np.array(canvas)
    rows, columns = np.ogrid[:height, :width]
    for (x, y), colour in zip(points.astype(int).tolist(), _COLOURS, strict=True):
        drawn[(columns - x) ** 2 + (rows - y) ** 2 <= _RADIUS**2] = colour
    return drawn


def _stick(begin: NDArray[np.float64], end: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The outline of an ellipse in whole pixels, a corner for each degree, as OpenCV makes it."""
    middle = ((begin + end) / 2).astype(int)
    along, up = begin - end
    length, turn = int(math.hypot(along, up) / 2), math.radians(int(math.degrees(math.atan2(up, along))))
    around = np.radians(np.arange(361))
    x, y = length * np.cos(around), _STICK * np.sin(around)
    turned = np.stack([x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)], 1)
    return [(int(x), int(y)) for x, y in np.rint(middle + turned).tolist()]
