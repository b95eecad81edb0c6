"""A plain pixel check of what a picture shows. No model, only colours, areas and outlines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from scripts.starter.pictures import COLOURS, SHAPES, SIDE, PlacedShape, Scene, draw

_RING = 3
# Further from the ground than this (0..255 a channel, Euclidean) is something else than ground.
_APART = 60.0
_SPECK = 0.006
_GRID = 32
_TILTS = (-0.09, 0.0, 0.09)
# Corners as sharp as drawn, and rounded as a VAE rounds them: in shares of the radius. Without the second
# kind a star with blunt tips is nearest to a disc.
_ROUNDINGS = (0.0, 0.14)

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Observation:
    """What is there. `shape` and `colour` are of the largest thing, "" for none; `count` is of all things.

    `x` and `y` are the largest one's centre and `area` its share of the picture, all from 0 to 1.
    """

    ground: str
    colour: str
    shape: str
    count: int
    x: float
    y: float
    area: float


def judge(picture: Image.Image) -> Observation:
    """Look at a picture; other sizes than the native one are brought to it first."""
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small).astype(float)
    ring = np.concatenate([
        pixels[:_RING].reshape(-1, 3), pixels[-_RING:].reshape(-1, 3),
        pixels[:, :_RING].reshape(-1, 3), pixels[:, -_RING:].reshape(-1, 3),
    ])  # fmt: skip
    backdrop = np.median(ring, axis=0)
    apart = np.linalg.norm(pixels - backdrop, axis=-1)
    mask = ndimage.binary_opening(apart > _APART)
    labels, found = ndimage.label(mask)
    areas = np.bincount(labels.ravel(), minlength=found + 1)[1:] / mask.size
    things = [index for index in range(found) if areas[index] > _SPECK]
    ground = nearest(backdrop)
    if not things:
        return Observation(ground, "", "", 0, 0.5, 0.5, 0.0)
    largest = max(things, key=lambda index: float(areas[index]))
    thing = labels == largest + 1
    inside = ndimage.binary_erosion(thing, iterations=2)
    paint = np.median(pixels[inside if inside.any() else thing], axis=0)
    y, x = ndimage.center_of_mass(thing)
    # The outline is half-way from ground to paint; `_APART` alone would count a soft edge as the thing's.
    solid = thing & (np.linalg.norm(pixels - paint, axis=-1) < apart)
    kind = _kind(solid if solid.any() else thing)
    return Observation(ground, nearest(paint), kind, len(things), x / SIDE, y / SIDE, float(areas[largest]))


def nearest(colour: NDArray[np.float64]) -> str:
    """The name of the nearest of the eight colours."""
    return min(COLOURS, key=lambda name: float(np.linalg.norm(colour - np.array(COLOURS[name]))))


def _kind(thing: Mask) -> str:
    """The shape whose outline, brought to the same box, overlaps best."""
    seen = _boxed(thing)
    return max(SHAPES, key=lambda shape: max(_overlap(seen, template) for template in _templates(shape)))


def _overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


@cache
def _templates(shape: str) -> tuple[Mask, ...]:
    found = []
    for tilt in _TILTS:
        spot = PlacedShape(SIDE / 2, SIDE / 2, 45.0, tilt)
        scene = Scene(shape, "black", "white", 1, "large", "centre", (spot,), (0, 0, 0), (255, 255, 255))
        dark = 255.0 - draw(scene)[..., 0]
        found += [_boxed(ndimage.gaussian_filter(dark, rounding * 45.0) > 128) for rounding in _ROUNDINGS]
    return tuple(found)


def _boxed(thing: Mask) -> Mask:
    """The thing cut out along its box and brought to a square grid."""
    rows, columns = np.flatnonzero(thing.any(1)), np.flatnonzero(thing.any(0))
    cut = thing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image = Image.fromarray(cut.astype(np.uint8) * 255).resize((_GRID, _GRID), Image.Resampling.BILINEAR)
    return np.asarray(image) > 127
