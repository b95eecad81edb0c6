"""DWPose (Yang et al., arXiv 2307.15880): bodies with hands and faces by two networks, one that finds people
(`yolox_l.onnx`) and one that finds 133 points of each (`dw-ll_ucoco_384.onnx`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import ImageDraw
from torch import Tensor

from easel.studio.engine.control.body_pose import PartPeak, drawn
from easel.studio.engine.control.onnx_network import OnnxNetwork
from easel.studio.engine.control.person_boxes import Box, PersonBoxes
from easel.studio.engine.control.pose_parts import Point
from easel.studio.engine.control.whole_pose import draw_face, draw_hand

Floats = NDArray[np.float64]
_HEIGHT, _WIDTH, _POINTS = 384, 288, 133
_MEANS, _DEVIATIONS = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_LARGER, _SURE = 1.25, 0.3
# Of COCO's points those of OpenPose's parts, in its order; its neck is between the shoulders.
_NECK, _SHOULDERS = 1, (5, 6)
_BODY = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_FACE, _HANDS = slice(23, 91), (slice(91, 112), slice(112, 133))
_EYES = (14, 15)


class PersonPoints(OnnxNetwork):
    """Gives how sure it is that each point is in a column, (1, points, columns), and in a row: more of them
    than pixels, for what is between two."""

    def load_state_dict(self, tensors: Mapping[str, Any]) -> None:
        """See OnnxNetwork."""
        height, width = self.size(_HEIGHT, _WIDTH)
        found = [one.shape for one in self.run(np.zeros((1, 3, height, width), np.float32))]
        if len(found) != 2 or any(len(one) != 3 or one[1] != _POINTS for one in found):
            raise ValueError(f"it gives {found} where {_POINTS} points are asked for")

    def points(self, pixels: Tensor, box: Box) -> Floats:
        """Of (1, 3, height, width), 0 to 1, the points of the person in a box: x, y in pixels, how sure."""
        height, width = self.size(_HEIGHT, _WIDTH)
        left, top, right, bottom = box
        wide, high = (right - left) * _LARGER, (bottom - top) * _LARGER
        # what is missing of the shape that it sees is added on both sides
        wide, high = max(wide, high * width / height), max(high, wide * height / width)
        begin = np.array([(left + right - wide) / 2, (top + bottom - high) / 2])
        scale = np.array([wide / width, high / height])
        columns, rows = (one[0] for one in self.run(_cut(pixels, begin, scale, height, width)))
        places = np.stack(
            [columns.argmax(1) * width / columns.shape[1], rows.argmax(1) * height / rows.shape[1]], 1
        )
        sure = np.minimum(columns.max(1), rows.max(1))
        return np.concatenate([places * scale + begin, sure[:, None]], axis=1)


class DistilledPose:
    """Both networks, and what is drawn of what they find."""

    def __init__(self, people: PersonBoxes, points: PersonPoints) -> None:
        self._people, self._points = people, points

    def __call__(self, pixels: Tensor) -> Tensor:
        """(height, width, 3), bytes."""
        height, width = pixels.shape[-2:]
        found = [self._points.points(pixels, box) for box in self._people.people(pixels)]
        bodies = [body(one) for one in found]
        canvas = drawn(bodies, width, height)
        brush = ImageDraw.Draw(canvas)
        for points, parts in zip(found, bodies, strict=True):
            for hand in _HANDS:
                draw_hand(brush, _sure(points[hand]))
            marks = [one for one in _sure(points[_FACE]) if one is not None]
            if marks:
                eyes = [parts[one] for one in _EYES if one in parts]
                draw_face(brush, marks + [(int(one.x), int(one.y)) for one in eyes])
        return torch.from_numpy(np.asarray(canvas).copy())


def body(points: Floats) -> dict[int, PartPeak]:
    """OpenPose's parts of a person's points, those that are sure."""
    found = {
        part: PartPeak(*points[one].tolist())
        for part, one in enumerate(_BODY)
        if one is not None and points[one, 2] >= _SURE
    }
    first, second = (points[one] for one in _SHOULDERS)
    if first[2] > _SURE and second[2] > _SURE:
        x, y = ((first + second) / 2)[:2].tolist()
        found[_NECK] = PartPeak(x, y, 1.0)
    return found


def _sure(points: Floats) -> list[Point | None]:
    return [(int(x), int(y)) if sure >= _SURE else None for x, y, sure in points.tolist()]


def _cut(pixels: Tensor, begin: Floats, scale: Floats, height: int, width: int) -> NDArray[np.float32]:
    """What is seen from a pixel on, that many pixels for one; black beside the picture."""
    tall, broad = pixels.shape[-2:]
    ys = torch.from_numpy(begin[1] + scale[1] * np.arange(height)).float()
    xs = torch.from_numpy(begin[0] + scale[0] * np.arange(width)).float()
    y, x = torch.meshgrid(ys * 2 / max(1, tall - 1) - 1, xs * 2 / max(1, broad - 1) - 1, indexing="ij")
    seen = F.grid_sample(pixels * 255, torch.stack([x, y], dim=-1)[None], align_corners=True).round()
    means, deviations = (torch.tensor(one).reshape(1, 3, 1, 1) for one in (_MEANS, _DEVIATIONS))
    found: NDArray[np.float32] = ((seen - means) / deviations).numpy()
    return found
