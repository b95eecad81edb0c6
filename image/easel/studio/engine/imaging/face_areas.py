"""Which of the areas that a detector found are drawn over, in which order: ADetailer's rules, and masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import dist

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class FaceArea:
    """A face's rectangle in pixels of its picture (left, top, right, bottom), and how sure the network is,
    0 to 1."""

    box: tuple[float, float, float, float]
    sure: float

    @property
    def pixels(self) -> float:
        """How large it is."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle, in pixels."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


class AreaOrder(StrEnum):
    """Which comes first, in the words of ADetailer's option `ad_bbox_sortby`."""

    SUREST = "None"
    LEFT_TO_RIGHT = "Position (left to right)"
    CENTER_TO_EDGE = "Position (center to edge)"
    LARGE_TO_SMALL = "Area (large to small)"


class MergedAreas(StrEnum):
    """Whether all areas are one, or all but them is, in the words of `ad_mask_merge_invert`."""

    NONE = "None"
    MERGE = "Merge"
    MERGE_AND_INVERT = "Merge and Invert"


@dataclass(frozen=True)
class AreaChoice:
    """Areas whose share of the picture is from `least` to `most`, of these the `count` largest, or surest
    with `by_confidence` (0: all), in an `order`; moved `right` and `up`, and made larger by about `grown`
    (less than 0: smaller), in pixels."""

    least: float = 0.0
    most: float = 1.0
    count: int = 0
    by_confidence: bool = False
    order: AreaOrder = AreaOrder.SUREST
    right: int = 0
    up: int = 0
    grown: int = 4
    merged: MergedAreas = MergedAreas.NONE


def area_masks(areas: Sequence[FaceArea], size: tuple[int, int], choice: AreaChoice) -> list[Image.Image]:
    """The masks (mode L, white inside) of what is drawn over in a picture of `size` pixels, in order."""
    masks = [_mask(one, size, choice) for one in _chosen(areas, size, choice)]
    masks = [one for one in masks if one.getbbox()]
    if not masks or choice.merged is MergedAreas.NONE:
        return masks
    whole = masks[0]
    for one in masks[1:]:
        whole = ImageChops.lighter(whole, one)
    return [ImageChops.invert(whole) if choice.merged is MergedAreas.MERGE_AND_INVERT else whole]


def _chosen(areas: Sequence[FaceArea], size: tuple[int, int], choice: AreaChoice) -> list[FaceArea]:
    whole = size[0] * size[1]
    found = [one for one in areas if choice.least <= one.pixels / whole <= choice.most]
    if choice.count:
        rank: Callable[[FaceArea], float] = (lambda one: one.sure) if choice.by_confidence else _size
        found = sorted(found, key=rank, reverse=True)[: choice.count]
    match choice.order:
        case AreaOrder.LEFT_TO_RIGHT:
            found.sort(key=lambda one: one.box[0])
        case AreaOrder.CENTER_TO_EDGE:
            found.sort(key=lambda one: dist((size[0] / 2, size[1] / 2), one.middle))
        case AreaOrder.LARGE_TO_SMALL:
            found.sort(key=_size, reverse=True)
    return found


def _size(area: FaceArea) -> float:
    return area.pixels


def _mask(area: FaceArea, size: tuple[int, int], choice: AreaChoice) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle(area.box, fill=255)
    # What leaves the picture on one side comes in on the other, as in ADetailer.
    mask = ImageChops.offset(mask, choice.right, -choice.up)
    return _grown(mask, choice.grown)


def _grown(mask: Image.Image, side: int) -> Image.Image:
    """Each pixel is what is brightest in a square of `side` around it; what is darkest, where `side` is less
    than 0. Of an even square the middle is behind its half, as OpenCV has it."""
    if not side:
        return mask
    length, outside = abs(side), 0 if side > 0 else 255
    found: Pixels = np.asarray(mask)
    for axis in (0, 1):
        around = [(0, 0), (0, 0)]
        around[axis] = (length // 2, length - 1 - length // 2)
        windows = sliding_window_view(np.pad(found, around, constant_values=outside), length, axis=axis)
        found = windows.max(axis=-1) if side > 0 else windows.min(axis=-1)
    return Image.fromarray(np.ascontiguousarray(found))
