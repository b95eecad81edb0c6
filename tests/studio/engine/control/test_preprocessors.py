"""Maps that preprocessors make of pictures, and how they come to the size of a pass."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from easel.studio.engine import PREPROCESSORS, InvalidRequest, preprocessor
from easel.studio.engine.control.edges import canny
from easel.studio.engine.control.map_size import at_size
from easel.studio.engine.imaging import ResizeMode

# What OpenCV 5.0's `Canny` finds in `waves()` at these thresholds: pixels, and the sum of their places.
OPENCV = {(100, 200): (357, 586097), (300, 700): (315, 490572)}


def waves(width: int = 61, height: int = 47) -> np.ndarray:
    """A picture of whole numbers, with slopes in every direction and each colour its own."""
    y, x = np.mgrid[:height, :width]
    red = (x * x + 3 * y) // 7 % 256
    green = (x * y) // 3 % 200
    blue = np.where((x - 30) ** 2 + (y - 20) ** 2 < 250, 230, 20)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("low", "high"), list(OPENCV))
def test_canny_is_opencvs(low: int, high: int) -> None:
    """The same pixels as OpenCV's, of which the numbers were taken."""
    found = canny(waves(), low, high) > 0
    assert (int(found.sum()), int(np.flatnonzero(found).sum())) == OPENCV[low, high]


def test_canny_keeps_weak_edges_that_touch_strong_ones() -> None:
    """A line that fades stays whole where it is connected, and one that is weak from end to end goes."""
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20] = np.linspace(30, 200, 60)[None, :, None]
    picture[30:, :] = 15
    edges = canny(picture, 50, 300) > 0
    assert edges[18:22].any(axis=0)[5:55].all()
    assert not edges[25:].any()


@pytest.mark.parametrize("one", PREPROCESSORS, ids=lambda one: one.module)
@pytest.mark.parametrize("size", [(64, 64), (1, 1), (3, 200), (131, 67), (4000, 2)])
def test_every_preprocessor_takes_every_picture(one: object, size: tuple[int, int]) -> None:
    """Any size, plain or not: a map of three channels of bytes comes of it, its black and white with no
    numbers out of range."""
    way = preprocessor(one.module)  # type: ignore[attr-defined]
    for picture in (Image.new("RGB", size, "#808080"), Image.effect_noise(size, 90).convert("RGB")):
        for a, b in ((-1.0, -1.0), (1e9, float("nan"))):
            found = way.detect(picture, 64, a, b)
            assert found.dtype == np.uint8
            assert found.ndim == 3
            assert found.shape[2] == 3


def test_what_each_does() -> None:
    """A black disc on white, by each preprocessor: what it is for can be seen."""
    disc = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(disc).ellipse((32, 32, 96, 96), fill="black")
    maps = {one.module: one.detect(disc, 128, -1, -1) for one in PREPROCESSORS}
    middle, corner = (64, 64), (4, 4)
    assert (maps["none"] == np.asarray(disc)).all()
    assert maps["invert"][middle].tolist() == [255] * 3
    assert maps["invert"][corner].tolist() == [0] * 3
    assert maps["threshold"][middle].max() == 0
    assert maps["canny"][middle].max() == 0
    assert maps["canny"][60:68, 28:36].max() == 255
    assert maps["scribble_xdog"][60:68, 30:42].max() == 255
    assert maps["lineart_standard"][60:68, 30:42].max() > 60
    assert maps["lineart_standard"][corner].max() == 0
    assert 60 < maps["blur_gaussian"][64, 32].max() < 200
    assert maps["recolor_luminance"][corner].min() == 255
    assert maps["recolor_intensity"][middle].max() == 0
    assert preprocessor("tile_resample").detect(disc, -1, 4.0, -1).shape == (32, 32, 3)
    assert len({tuple(one) for one in maps["color"].reshape(-1, 3)}) <= 4


@pytest.mark.parametrize(
    "name", ["", "cany", "densepose", "scribble_pidinet", "ip-adapter_pulid", "x" * 3000]
)
def test_what_is_not_here_is_said(name: str) -> None:
    """With the names of those that are, and what to do instead."""
    with pytest.raises(InvalidRequest, match="canny"):
        preprocessor(name)


@pytest.mark.parametrize(
    "name", ["Canny", " canny ", "binary", "invert (from white bg & black line)", "CLIP-ViT-H (IPAdapter)"]
)
def test_names_and_labels(name: str) -> None:
    """In any case, by name, by what A1111's page calls it."""
    assert preprocessor(name)


@pytest.mark.parametrize("mode", list(ResizeMode)[:3])
@pytest.mark.parametrize("size", [(64, 64), (96, 32), (300, 500)])
def test_lines_stay_lines(mode: ResizeMode, size: tuple[int, int]) -> None:
    """A map of lines has two colours at any size, and its lines are there."""
    ring = Image.new("RGB", (256, 256))
    ImageDraw.Draw(ring).ellipse((40, 40, 216, 216), outline="white")
    found = np.asarray(at_size(ring, mode, *size))
    assert found.shape == (size[1], size[0], 3)
    assert set(np.unique(found)) == {0, 255}
    assert 0.005 < (found > 0).mean() < 0.2


def test_what_is_left_free_has_the_borders_colour() -> None:
    """Resize and Fill: the whole map in the middle, around it what most of its border is."""
    picture = Image.new("RGB", (100, 50), (10, 20, 30))
    ImageDraw.Draw(picture).rectangle((40, 20, 60, 30), fill="red")
    found = np.asarray(at_size(picture, ResizeMode.RESIZE_AND_FILL, 100, 100))
    assert found[2, 2].tolist() == [10, 20, 30]
    assert found[97, 50].tolist() == [10, 20, 30]
    assert found[50, 50, 0] > 200
