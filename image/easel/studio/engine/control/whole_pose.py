"""Bodies with their hands and faces, drawn as A1111's extension draws them."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import ImageDraw
from torch import Tensor

from easel.studio.engine.control.body_pose import BodyPose, PartPeak, drawn
from easel.studio.engine.control.pose_parts import PartMaps, Point, face_marks, hand_joints

Person = Mapping[int, PartPeak]
Square = tuple[int, int, int]
# Shoulder, elbow and wrist, left and right; nose, then eyes and ears with how wide a face is for each.
_ARMS = ((5, 6, 7), (2, 3, 4))
_NOSE, _AROUND = 0, ((14, 3.0), (15, 3.0), (16, 1.5), (17, 1.5))
_LEAST = 20
_BEYOND, _WIDTH, _UPPER_ARM = 0.33, 1.5, 0.9
_FINGERS = tuple(
    (0 if step == 0 else first + step - 1, first + step) for first in (1, 5, 9, 13, 17) for step in range(4)
)
_JOINT, _MARK = (0, 0, 255), (255, 255, 255)


class WholePose:
    """Looks for bodies, and for what `hands` and `face` find of them; `bodies` are drawn too, or not."""

    def __init__(
        self,
        body: BodyPose,
        hands: PartMaps | None = None,
        face: PartMaps | None = None,
        *,
        bodies: bool = True,
    ) -> None:
        self._body, self._hands, self._face, self._bodies = body, hands, face, bodies

    def __call__(self, pixels: Tensor) -> Tensor:
        """(height, width, 3), bytes."""
        height, width = pixels.shape[-2:]
        people = self._body.people(pixels)
        canvas = drawn(people if self._bodies else [], width, height)
        brush = ImageDraw.Draw(canvas)
        for one in people:
            if self._hands is not None:
                for hand in hand_squares(one, width, height):
                    joints = hand_joints(self._hands, _cut(pixels, hand))
                    draw_hand(brush, [None if joint is None else _moved(joint, hand) for joint in joints])
            if self._face is not None and (face := face_square(one, width, height)) is not None:
                draw_face(brush, [_moved(one, face) for one in face_marks(self._face, _cut(pixels, face))])
        return torch.from_numpy(np.asarray(canvas).copy())


def hand_squares(person: Person, width: int, height: int) -> list[Square]:
    """Where the hands of arms that were found are: x, y and side in pixels."""
    found = []
    for shoulder, elbow, wrist in _ARMS:
        if not {shoulder, elbow, wrist} <= set(person):
            continue
        first, middle, last = (np.array(person[part][:2]) for part in (shoulder, elbow, wrist))
        side = _WIDTH * max(_length(last - middle), _UPPER_ARM * _length(middle - first))
        x, y = np.maximum(last + _BEYOND * (last - middle) - side / 2, 0)
        side = min(side, width - x, height - y)
        if side >= _LEAST:
            found.append((int(x), int(y), int(side)))
    return found


def face_square(person: Person, width: int, height: int) -> Square | None:
    """Where the face is, by the nose and what was found of eyes and ears."""
    around = [(person[part], times) for part, times in _AROUND if part in person]
    if _NOSE not in person or not around:
        return None
    nose = person[_NOSE]
    half = max(times * max(abs(nose.x - one.x), abs(nose.y - one.y)) for one, times in around)
    x, y = max(0.0, nose.x - half), max(0.0, nose.y - half)
    # as there: only what is more than half outside makes it smaller
    across = width - x if x + half > width else 2 * half
    down = height - y if y + half > height else 2 * half
    side = min(across, down)
    return (int(x), int(y), int(side)) if side >= _LEAST else None


def _length(way: np.ndarray) -> float:
    return float(np.hypot(*way))


def _cut(pixels: Tensor, square: Square) -> Tensor:
    x, y, side = square
    return pixels[..., y : y + side, x : x + side]


def _moved(point: Point, square: Square) -> Point:
    return point[0] + square[0], point[1] + square[1]


def draw_hand(brush: ImageDraw.ImageDraw, joints: Sequence[Point | None]) -> None:
    """Fingers in the colours of the rainbow, under joints."""
    for number, (first, second) in enumerate(_FINGERS):
        begin, end = joints[first], joints[second]
        if begin is not None and end is not None:
            colour = colorsys.hsv_to_rgb(number / len(_FINGERS), 1, 1)
            brush.line([begin, end], fill=tuple(int(255 * one) for one in colour), width=2)
    for joint in joints:
        if joint is not None:
            brush.circle(joint, 4, fill=_JOINT)


def draw_face(brush: ImageDraw.ImageDraw, marks: Sequence[Point]) -> None:
    """White marks."""
    for mark in marks:
        brush.circle(mark, 3, fill=_MARK)
