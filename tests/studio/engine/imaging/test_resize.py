"""A1111's resize modes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from easel.studio.engine.imaging import ResizeMode, resized

SIDE = st.integers(1, 2048)
LANCZOS = Image.Resampling.LANCZOS


def gradient(width: int, height: int) -> Image.Image:
    """Red goes up to the right, green downwards."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, across * 0], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("mode", [ResizeMode.JUST_RESIZE, ResizeMode.LATENT_UPSCALE])
def test_stretched_by_lanczos(mode: ResizeMode) -> None:
    """Just resize is Pillow's Lanczos; so is latent upscale, of what must be pixels."""
    image = gradient(90, 60)
    assert resized(image, mode, 128, 64).tobytes() == image.resize((128, 64), LANCZOS).tobytes()


def test_a_crop_is_the_middle_of_the_covering_picture() -> None:
    """60×40 over 64×64 is 96×64, less 16 on each side; Lanczos of the cut part is rounded otherwise by 1."""
    image = gradient(60, 40)
    whole = image.resize((96, 64), LANCZOS).crop((16, 0, 80, 64))
    found = resized(image, ResizeMode.CROP_AND_RESIZE, 64, 64)
    assert np.abs(np.asarray(whole, int) - np.asarray(found, int)).max() <= 1


@pytest.mark.parametrize("size", [(120, 60), (60, 120)])
def test_edges_are_stretched_over_what_is_left(size: tuple[int, int]) -> None:
    """Fill: the picture in the middle, each strip of one colour along its edge."""
    found = np.asarray(resized(gradient(*size), ResizeMode.RESIZE_AND_FILL, 64, 64))
    if size[0] < size[1]:
        found = found.swapaxes(0, 1)
    inner = np.asarray(gradient(*size).resize((64, 32) if size[0] > size[1] else (32, 64), LANCZOS))
    assert np.array_equal(found[16:48], inner if size[0] > size[1] else inner.swapaxes(0, 1))
    for strip, edge in ((found[:16], found[16]), (found[48:], found[47])):
        assert (strip == strip[0]).all()
        assert np.abs(strip[0].astype(int) - edge).max() <= 2  # bicubic, as A1111 asks Pillow for it


def test_an_odd_height_is_filled_to_the_end() -> None:
    """A1111 leaves one black row when an even picture fits into an odd height."""
    white = Image.new("RGB", (10, 4), "white")
    assert resized(white, ResizeMode.RESIZE_AND_FILL, 15, 15).getextrema() == ((255, 255),) * 3


@given(mode=st.sampled_from(ResizeMode), width=SIDE, height=SIDE, to_width=SIDE, to_height=SIDE)
def test_any_size_becomes_any_size(
    mode: ResizeMode, width: int, height: int, to_width: int, to_height: int
) -> None:
    """No mode fails or leaves black; the picture keeps its mode, so that a mask stays one."""
    found = resized(Image.new("L", (width, height), 200), mode, to_width, to_height)
    assert (found.mode, found.size, found.getextrema()) == ("L", (to_width, to_height), (200, 200))


@pytest.mark.parametrize("mode", ResizeMode)
def test_an_upscaler_is_asked_when_a_picture_grows(mode: ResizeMode) -> None:
    """By the larger of both factors; masks and what shrinks are Lanczos's. The size is exact all the same."""
    asked = []

    def enlarge(image: Image.Image, factor: float) -> Image.Image:
        asked.append(factor)
        return image.resize((image.width * 4, image.height * 4))

    assert resized(gradient(32, 32), mode, 64, 96, enlarge).size == (64, 96)
    assert asked == [2 if mode is ResizeMode.RESIZE_AND_FILL else 3]
    resized(gradient(128, 128), mode, 64, 96, enlarge)
    resized(Image.new("L", (8, 8)), mode, 64, 96, enlarge)
    assert len(asked) == 1
