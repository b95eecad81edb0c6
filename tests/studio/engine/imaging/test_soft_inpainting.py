"""Soft inpainting. The judge of its filter is the definition, one pixel and one element at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.studio.engine.imaging import INFOTEXT_KEYS, SoftInpainting, blended, overlay_mask
from easel.studio.engine.imaging.soft_inpainting import _window_mean


def bell(down: int, across: int) -> float:
    """The weight of a neighbour: a Gaussian of deviation 1.5, lowered to 0 at 3 and scaled to 1 at 0."""
    floor = math.exp(-9 / 2.25)
    return (math.exp(-(down**2 + across**2) / 2.25) - floor) / (1 - floor)


def one_window_mean(values: np.ndarray, row: int, column: int, lowest: float, highest: float) -> float:
    """Neighbours as blocks as high as their weights, sorted, stacked; the mean of what lies in the window."""
    blocks = sorted(
        (float(values[y, x]), bell(y - row, x - column))
        for y in range(max(row - 2, 0), min(row + 3, values.shape[0]))
        for x in range(max(column - 2, 0), min(column + 3, values.shape[1]))
    )
    whole = sum(weight for _, weight in blocks)
    start, end = whole * lowest, whole * highest
    if end - start < 1:
        start, end = (start + end - 1) / 2, (start + end + 1) / 2
        if end > whole:
            start, end = whole - 1, whole
        if start < 0:
            start, end = 0, 1
    found = below = 0.0
    for value, weight in blocks:
        found += value * max(0, min(end, below + weight) - max(start, below))
        below += weight
    return found / (min(end, whole) - start)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
    st.sampled_from([(0.9, 1), (0.25, 0.75), (0, 1)]),
)
def test_the_filter_by_its_definition(
    height: int, width: int, seed: int, window: tuple[float, float]
) -> None:
    """At every pixel, edges and corners included."""
    values = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    judged = [[one_window_mean(values, y, x, *window) for x in range(width)] for y in range(height)]
    assert np.allclose(_window_mean(values, *window), judged, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 2), (1, 1, 2, 2)])
def test_a_mask_of_zero_keeps_and_one_draws(shape: tuple[int, ...]) -> None:
    """To within a hundred-thousandth of a magnitude, which keeps zeros from being divided by."""
    original, denoised = torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2)
    mask = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).reshape(shape)
    found = blended(SoftInpainting(), original, denoised, mask, 3.0)
    assert torch.allclose(found[..., 0], original[..., 0], atol=1e-4)
    assert torch.allclose(found[..., 1], denoised[..., 1], atol=1e-4)
    assert found.dtype == original.dtype


def test_between_directions_are_mixed_and_magnitudes_kept() -> None:
    """Lengths 1 and 3 at a right angle, half and half: power 1 is 2 long, 32 nears the larger."""
    original, denoised = (
        torch.tensor([1.0, 0]).reshape(1, 2, 1, 1),
        torch.tensor([0, 3.0]).reshape(1, 2, 1, 1),
    )
    half = torch.full((1, 1), 0.5)

    def at(power: float) -> float:
        soft = SoftInpainting(mask_blend_power=0, mask_blend_scale=1, inpaint_detail_preservation=power)
        return float(blended(soft, original, denoised, half, 7.0).norm())

    assert at(1) == pytest.approx(2, rel=1e-4)
    assert at(1) < at(4) < at(32) < 3
    assert at(32) > 2.9


def test_sigma_moves_the_balance() -> None:
    """The mask is raised to sigma**bias * strength: at high sigmas the original counts more."""
    original, denoised = torch.zeros(1, 1, 1, 1) + 1, torch.zeros(1, 1, 1, 1) + 2
    half = torch.full((1, 1), 0.5)
    late, early = (float(blended(SoftInpainting(), original, denoised, half, sigma)) for sigma in (0.1, 10.0))
    assert 1 < early < late < 2


def latents(difference: float) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures' latents, apart by `difference` on the left half."""
    original = np.zeros((4, 16, 16), np.float32)
    drawn = original.copy()
    drawn[0, :, :8] = difference
    return original, drawn


def test_pixels_that_hardly_changed_are_the_originals() -> None:
    """Black where nothing changed, white where much did, in the middle where half of it is seen."""
    mask = np.ones((16, 16), np.float32)
    found = np.asarray(overlay_mask(SoftInpainting(), mask, *latents(8), (128, 128)))
    assert found.shape == (128, 128)
    assert (found[:, :40] >= 250).all()
    assert (found[:, 108:] == 0).all()
    even = np.asarray(overlay_mask(SoftInpainting(), mask, *latents(0.5), (128, 128)))
    assert 110 <= even[64, 8] <= 140


def test_the_mask_can_overrule_the_difference() -> None:
    """With full influence, what was not painted stays the original's however it changed."""
    mask = np.zeros((16, 16), np.float32)
    soft = SoftInpainting(composite_mask_influence=1)
    assert overlay_mask(soft, mask, *latents(8), (128, 128)).getextrema()[1] < 5
    assert overlay_mask(soft, mask + 1, *latents(8), (128, 128)).getextrema() == (0, 255)


@settings(max_examples=30, deadline=None)
@given(
    power=st.floats(0, 8), scale=st.floats(0, 8), detail=st.floats(1, 32), influence=st.floats(0, 1),
    threshold=st.floats(0, 8), contrast=st.floats(0, 8), height=st.integers(1, 12), width=st.integers(1, 12),
)  # fmt: skip
def test_any_settings_within_the_sliders(
    power: float, scale: float, detail: float, influence: float, threshold: float, contrast: float,
    height: int, width: int,
) -> None:  # fmt: skip
    """A threshold of 0 divides by nothing in A1111; here all that changed at all is the drawing's."""
    soft = SoftInpainting(power, scale, detail, influence, threshold, contrast)
    noise = np.random.default_rng(0)
    mask = noise.random((height, width)).astype(np.float32)
    original, drawn = (noise.normal(size=(4, height, width)).astype(np.float32) for _ in range(2))
    drawn[:, 0] = original[:, 0]
    assert overlay_mask(soft, mask, original, drawn, (width * 8, height * 8)).size == (width * 8, height * 8)
    step = blended(soft, *(torch.from_numpy(one)[None] for one in (original, drawn, mask[None])), 14.6)
    assert step.isfinite().all()


def test_every_setting_has_a_name_in_infotexts() -> None:
    """In the order of the script's arguments."""
    assert list(INFOTEXT_KEYS) == list(SoftInpainting.__dataclass_fields__)
