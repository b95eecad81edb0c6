"""What lies under a mask before the first step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from easel.studio.engine.imaging import latent_noise, latent_nothing
from easel.studio.engine.imaging.fill import filled_from_around


def test_a_hole_takes_the_colours_around_it() -> None:
    """Red on the left, blue on the right: so is the hole between, and the white in it is forgotten."""
    image = Image.new("RGB", (128, 64), "red")
    image.paste("blue", (64, 0, 128, 64))
    mask = Image.new("L", image.size)
    mask.paste(255, (40, 16, 88, 48))
    image.paste("white", (40, 16, 88, 48))
    found = np.asarray(filled_from_around(image, mask)).astype(int)
    left, right = found[32, 44], found[32, 83]
    assert left[0] > 120 > left[2]
    assert right[2] > 120 > right[0]
    assert found[..., 1].max() < 10
    assert found[5, 5].tolist() == [255, 0, 0]


@settings(max_examples=20)
@given(st.integers(1, 300), st.integers(1, 300))
def test_all_or_nothing_masked(width: int, height: int) -> None:
    """Nothing: the picture. All: black, as there is no colour to take."""
    image = Image.new("RGB", (width, height), (90, 120, 30))
    assert filled_from_around(image, Image.new("L", image.size)).tobytes() == image.tobytes()
    assert filled_from_around(image, Image.new("L", image.size, 255)).getextrema() == ((0, 0),) * 3


@pytest.mark.parametrize("shape", [(2, 2), (1, 1, 2, 2)])
def test_latents_under_the_mask(shape: tuple[int, ...]) -> None:
    """Noise or zeros where the mask is 1, a mixture where it is between."""
    latents, noise = torch.full((1, 4, 2, 2), 8.0), torch.full((1, 4, 2, 2), 2.0)
    mask = torch.tensor([[0, 1], [0.5, 1]]).reshape(shape)
    assert latent_nothing(latents, mask)[0, 3].tolist() == [[8, 0], [4, 0]]
    assert latent_noise(latents, mask, noise)[0, 3].tolist() == [[8, 2], [5, 2]]
