"""Masks: what is painted, blurred, cut out, and shrunk to latents. The judge of the blur is OpenCV 5.0."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from easel.studio.engine.imaging.blur import blurred
from easel.studio.engine.imaging.mask import (
    CropRegion,
    at_aspect,
    at_latent_size,
    mask_from,
    masked_region,
    prepared_mask,
    strengthened,
)

EDGE = {
    1: [0, 1, 15, 77, 178, 240, 254, 255],
    4: [
        0, 1, 3, 7, 12, 21, 32, 48, 67, 90, 115, 140, 165, 188, 207, 223, 234, 243, 248, 252, 254, 255,
    ],
}  # fmt: skip
"""What `cv2.GaussianBlur` makes of a step from 0 to 255, by sigma."""


def painted(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """A black mask with a white box."""
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


@pytest.mark.parametrize("sigma", EDGE)
def test_the_blur_is_opencvs_to_the_bit(sigma: int) -> None:
    """Along each axis; on both sides of what is listed nothing is changed."""
    wide = blurred(painted((64, 3), (32, 0, 64, 3)), sigma, 0)
    row = np.asarray(wide)[1].tolist()
    start = row.index(1) - 1
    assert row == [0] * start + EDGE[sigma] + [255] * (64 - start - len(EDGE[sigma]))
    tall = blurred(painted((3, 64), (0, 32, 3, 64)), 0, sigma)
    assert np.array_equal(np.asarray(tall).T, np.asarray(wide))


def test_a_dot_blurred_both_ways() -> None:
    """Rounded between the axes, as OpenCV's two calls do."""
    dot = np.asarray(blurred(painted((9, 9), (4, 4, 5, 5)), 1, 1))
    assert dot[4].tolist() == [0, 0, 6, 25, 41, 25, 6, 0, 0]
    assert np.array_equal(dot, dot.T)


@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.floats(0, 64),
    st.floats(0, 64),
    st.sampled_from([0, 90, 255]),
)
def test_a_blur_leaves_what_is_even(width: int, height: int, x: float, y: float, level: int) -> None:
    """At any size and strength, narrower than the blur too."""
    flat = Image.new("L", (width, height), level)
    assert blurred(flat, x, y).tobytes() == flat.tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_alpha_is_the_mask_where_there_is_any(mode: str) -> None:
    """More than half opaque is drawn anew; unrounded it stays as it is."""
    alpha = Image.fromarray(np.array([[0, 100, 128, 129, 255]], np.uint8))
    image = Image.new("RGBA", (5, 1), "black")
    image.putalpha(alpha)
    if mode == "P":
        image = Image.new("P", (5, 1))
        image.putdata([0, 1, 2, 3, 4])
        image.info["transparency"] = alpha.tobytes()
    image = image if mode == "P" else image.convert(mode)
    assert mask_from(image).tobytes() == bytes([0, 0, 0, 255, 255])
    assert mask_from(image, rounded=False).tobytes() == alpha.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "I;16"])
def test_luminance_is_the_mask_of_an_opaque_picture(mode: str) -> None:
    """White is drawn anew, black stays."""
    image = painted((4, 4), (0, 0, 2, 4))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image, np.uint16) * 257)
    mask = mask_from(image if mode == "I;16" else image.convert(mode))
    assert mask.mode == "L"
    assert mask.tobytes() == painted((4, 4), (0, 0, 2, 4)).tobytes()


def test_grey_stays_grey() -> None:
    """A1111 rounds alpha alone; luminance is rounded where latents are masked."""
    assert mask_from(Image.new("RGB", (1, 1), (100, 100, 100))).tobytes() == bytes([100])


def test_inverted_then_blurred() -> None:
    """`inpainting_mask_invert` keeps what is painted; a mask of another size covers the whole picture."""
    mask = prepared_mask(painted((32, 32), (0, 0, 16, 32)), (64, 64), invert=True, blur_x=4, blur_y=0)
    row = np.asarray(mask)[5].astype(int)
    assert (row[0], row[63]) == (0, 255)
    assert (np.diff(row) >= 0).all()


def test_the_overlay_is_twice_as_strong() -> None:
    """What is half masked is wholly the drawing's."""
    mask = Image.fromarray(np.array([[0, 10, 127, 128, 255]], np.uint8))
    assert strengthened(mask).tobytes() == bytes([0, 20, 254, 255, 255])


def test_a_mask_of_latents() -> None:
    """Rounded, it is 0 and 1; else what bicubic makes of it."""
    mask = painted((64, 32), (0, 0, 28, 32))
    soft = at_latent_size(mask, 8, 4, rounded=False)
    assert soft.shape == (4, 8)
    assert soft.dtype == np.float32
    assert 0 < soft[0, 3] < 1
    assert set(np.unique(at_latent_size(mask, 8, 4))) == {0, 1}


@st.composite
def regions(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """A picture's size and a box in it, of at least one pixel."""
    width, height = draw(st.integers(1, 2048)), draw(st.integers(1, 2048))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return (width, height), (
        left,
        top,
        draw(st.integers(left + 1, width)),
        draw(st.integers(top + 1, height)),
    )


@given(regions(), st.integers(0, 256), st.integers(8, 256), st.integers(8, 256))
def test_a_region_is_in_the_picture_around_the_mask_at_the_aspect(
    place: tuple[tuple[int, int], tuple[int, int, int, int]], padding: int, columns: int, rows: int
) -> None:
    """At the aspect to within a pixel, or as long as the picture is."""
    size, box = place
    width, height = columns * 8, rows * 8
    region = masked_region(painted(size, box), padding)
    assert region is not None
    grown = at_aspect(region, width / height, size)
    for outer, inner in (
        (region, CropRegion(*box)), (grown, region), (CropRegion(0, 0, *size), grown),
    ):  # fmt: skip
        assert outer.left <= inner.left < inner.right <= outer.right
        assert outer.top <= inner.top < inner.bottom <= outer.bottom
    if grown.width < size[0] and grown.height < size[1]:
        wanted = width / height
        assert grown.width / (grown.height + 1) <= wanted <= (grown.width + 1) / grown.height


@pytest.mark.parametrize(
    ("region", "grown"),
    [
        ((0, 0, 128, 32), (0, 0, 128, 128)),
        ((300, 480, 428, 512), (300, 384, 428, 512)),
        ((200, 100, 240, 200), (170, 100, 270, 200)),
        ((0, 0, 512, 10), (0, 0, 512, 512)),
    ],
)
def test_where_a_region_grows(region: tuple[int, int, int, int], grown: tuple[int, int, int, int]) -> None:
    """On both sides alike; what the picture's edge refuses, on the other."""
    assert at_aspect(CropRegion(*region), 1, (512, 512)) == grown


def test_a_black_mask_has_no_region() -> None:
    """Whatever the padding."""
    assert masked_region(Image.new("L", (8, 8)), 32) is None
