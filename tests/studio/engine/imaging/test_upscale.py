"""Upscalers without weights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from easel.studio.engine.imaging import LATENT_UPSCALE_MODES, PIXEL_UPSCALERS, TooManyPixels, upscaled


def test_the_names() -> None:
    """A1111's, in the order of its routes."""
    assert list(PIXEL_UPSCALERS) == ["None", "Lanczos", "Nearest"]
    assert [(name, *mode) for name, mode in LATENT_UPSCALE_MODES.items()] == [
        ("Latent", "bilinear", False),
        ("Latent (antialiased)", "bilinear", True),
        ("Latent (bicubic)", "bicubic", False),
        ("Latent (bicubic antialiased)", "bicubic", True),
        ("Latent (nearest)", "nearest", False),
        ("Latent (nearest-exact)", "nearest-exact", False),
    ]


@pytest.mark.parametrize(
    ("name", "filtered"),
    [
        ("Nearest", Image.Resampling.NEAREST),
        ("Lanczos", Image.Resampling.LANCZOS),
        ("None", Image.Resampling.LANCZOS),
    ],
)
def test_by_their_filters(name: str, filtered: Image.Resampling) -> None:
    """None leaves the picture, and Lanczos brings it to the size."""
    image = Image.radial_gradient("L").resize((64, 40)).convert("RGB")
    assert upscaled(image, 2, PIXEL_UPSCALERS[name]).tobytes() == image.resize((128, 80), filtered).tobytes()


@pytest.mark.parametrize(
    ("factor", "own", "passes", "size"),
    [(4, 4, 1, 256), (6, 4, 2, 384), (8, 2, 3, 512), (16, 2, 3, 1024), (1, 4, 1, 64), (0.5, 4, 0, 32)],
)
def test_passes_until_the_size_is_there(factor: float, own: int, passes: int, size: int) -> None:
    """Up to three; a model runs once where nothing is to grow (factor 1), never where all shrinks."""
    seen = []

    def model(image: Image.Image, _: float) -> Image.Image:
        seen.append(image.size)
        return image.resize((image.width * own, image.height * own), Image.Resampling.NEAREST)

    assert upscaled(Image.new("RGB", (64, 64)), factor, model).size == (size, size)
    assert len(seen) == passes


@given(st.integers(1, 512), st.integers(1, 512), st.floats(0.05, 4), st.sampled_from(sorted(PIXEL_UPSCALERS)))
def test_sides_are_multiples_of_eight(width: int, height: int, factor: float, name: str) -> None:
    """Rounded down, and eight at least."""
    found = upscaled(Image.new("RGB", (width, height)), factor, PIXEL_UPSCALERS[name])
    for side, was in zip(found.size, (width, height), strict=True):
        assert side % 8 == 0
        assert side == 8 or was * factor - 8 < side <= was * factor


def test_what_memory_would_not_hold_is_refused() -> None:
    """Before the first pass."""
    with pytest.raises(TooManyPixels, match="16384×16384"):
        upscaled(Image.new("RGB", (2048, 2048)), 8, PIXEL_UPSCALERS["Lanczos"])
