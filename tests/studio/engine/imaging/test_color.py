"""Backgrounds and colour correction. The judges are OpenCV 5.0, scikit-image 0.26 and blendmodes 2022."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from easel.studio.engine.imaging import corrected, flattened
from easel.studio.engine.imaging.color import _to_rgb, to_lab

LAB = {
    (0, 0, 0): (0, 128, 128),
    (255, 255, 255): (255, 128, 128),
    (255, 0, 0): (136, 208, 195),
    (0, 255, 0): (224, 42, 211),
    (0, 0, 255): (82, 207, 20),
    (128, 128, 128): (137, 128, 128),
    (10, 200, 90): (181, 63, 171),
    (1, 2, 3): (1, 128, 127),
}
"""`cv2.cvtColor(…, cv2.COLOR_RGB2LAB)` of bytes."""


def test_lab_is_opencvs() -> None:
    """Exactly for these; one in 20,000 colours differs by one."""
    assert to_lab(np.array([list(LAB)], np.uint8))[0].tolist() == [list(lab) for lab in LAB.values()]


def test_back_from_lab() -> None:
    """To within what bytes of LAB can tell apart; impossible colours are cut off."""
    lab = np.array(
        [[(0, 128, 128), (255, 128, 128), (136, 208, 195), (100, 90, 160), (200, 140, 60)]], np.uint8
    )
    judged = np.array([[0, 0, 0], [255, 255, 255], [255, 2, 1], [32, 106, 36], [108, 194, 255]])
    assert np.abs(_to_rgb(lab)[0].astype(int) - judged).max() <= 1


def test_a_drawing_takes_the_colours_of_its_original() -> None:
    """What A1111's three libraries make of six pixels."""
    drawn = [[(0, 0, 0), (60, 10, 200), (120, 250, 30)], [(200, 200, 200), (33, 66, 99), (255, 128, 0)]]
    original = [
        [(250, 200, 150), (60, 110, 20), (12, 25, 30)],
        [(90, 80, 200), (133, 166, 199), (25, 128, 0)],
    ]
    judged = [[(0, 0, 0), (40, 30, 149), (136, 227, 106)], [(217, 202, 144), (29, 68, 96), (188, 145, 82)]]
    found = corrected(*(Image.fromarray(np.array(one, np.uint8)) for one in (drawn, original)))
    assert np.abs(np.asarray(found, int) - np.array(judged)).max() <= 2


@settings(max_examples=25)
@given(st.integers(1, 64), st.integers(1, 64), st.integers(0, 2**32 - 1))
def test_a_correction_keeps_the_lightness(width: int, height: int, seed: int) -> None:
    """Any pictures of any sizes, the drawing's own luma to within rounding."""
    noise = np.random.default_rng(seed)
    drawn = Image.fromarray(noise.integers(0, 256, (height, width, 3)).astype(np.uint8))
    found = corrected(drawn, Image.fromarray(noise.integers(0, 256, (9, 7, 3)).astype(np.uint8)))
    assert found.size == drawn.size
    luma = [np.asarray(one) @ [0.299, 0.587, 0.114] for one in (drawn, found)]
    assert np.abs(luma[0] - luma[1]).max() < 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGB"])
def test_transparency_becomes_the_background(mode: str) -> None:
    """Half of white over red is pink; what is opaque is not touched."""
    image = Image.new("RGBA", (1, 1), (255, 255, 255, 128)).convert(mode)
    expected = (255, 255, 255) if mode == "RGB" else (255, 128, 128)
    assert flattened(image, "#ff0000").getpixel((0, 0)) == expected


def test_what_is_no_colour_is_refused() -> None:
    """By Pillow's own words."""
    with pytest.raises(ValueError, match="unknown color"):
        flattened(Image.new("RGBA", (1, 1)), "#nothing")
