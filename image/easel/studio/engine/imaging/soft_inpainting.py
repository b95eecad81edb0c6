"""Soft inpainting, A1111's bundled script: half masked means half kept, in every step and in the pixels.

The mask is not rounded. After every step the original's latents are mixed into the denoised ones by the mask
raised to a power that goes with sigma (`blended`); after the last step nothing is pasted over the latents.
Where the finished latents differ little from the original's, the original's pixels are laid over them
(`overlay_mask`) in place of the painted mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from easel.studio.engine.imaging.resize import ResizeMode, resized

if TYPE_CHECKING:
    import torch

_TINY = 0.00001
_REACH = 2
"""Latent pixels around each that the filter of differences looks at."""
_DEVIATION = 1.5
_ANTIALIASING = 4
"""Radius in pixels of the blur over the finished mask, which grew eightfold."""


@dataclass(frozen=True)
class SoftInpainting:
    """The script's settings, in the order of its arguments (the first of which says whether it is on)."""

    mask_blend_power: float = 1
    """Schedule bias, 0 to 8: above 1 the original counts more early, below 1 late."""
    mask_blend_scale: float = 0.5
    """Preservation strength, 0 to 8: how much of the original a half masked spot keeps."""
    inpaint_detail_preservation: float = 4
    """Transition contrast boost, 1 to 32: how near a mixture's magnitude is to the larger of the two."""
    composite_mask_influence: float = 0
    """Mask influence, 0 to 1: how much the painted mask says about which pixels are kept."""
    composite_difference_threshold: float = 0.5
    """Difference threshold, 0 to 8: the difference of latents at which half of the original is seen."""
    composite_difference_contrast: float = 2
    """Difference contrast, 0 to 8: how suddenly that changes."""


INFOTEXT_KEYS = {
    "mask_blend_power": "Soft inpainting schedule bias",
    "mask_blend_scale": "Soft inpainting preservation strength",
    "inpaint_detail_preservation": "Soft inpainting transition contrast boost",
    "composite_mask_influence": "Soft inpainting mask influence",
    "composite_difference_threshold": "Soft inpainting difference threshold",
    "composite_difference_contrast": "Soft inpainting difference contrast",
}
"""What A1111's infotext calls the settings, behind `Soft inpainting enabled: True`."""


def blended(
    settings: SoftInpainting, original: torch.Tensor, denoised: torch.Tensor, mask: torch.Tensor, sigma: float
) -> torch.Tensor:
    """What takes the place of the denoised estimate (n, c, h, w) in a step at `sigma`.

    `mask` is (h, w) or (n, 1, h, w), from 0 to 1; 1 is drawn anew.
    """
    share = mask ** (sigma**settings.mask_blend_power * settings.mask_blend_scale)
    mixed = original * (1 - share) + denoised * share
    # In double precision: magnitudes are raised to the power of up to 32.
    power, share = settings.inpaint_detail_preservation, share.double()
    wanted = (_magnitude(original) ** power * (1 - share) + _magnitude(denoised) ** power * share) ** (
        1 / power
    )
    restored: torch.Tensor = mixed * (wanted / (_magnitude(mixed) + _TINY)).to(mixed.dtype)
    return restored


def _magnitude(latents: torch.Tensor) -> torch.Tensor:
    """Of each spot's vector, as (n, 1, h, w)."""
    length: torch.Tensor = latents.norm(p=2, dim=1, keepdim=True)
    return length.double()


def overlay_mask(
    settings: SoftInpainting,
    mask: NDArray[np.float32],
    original: NDArray[np.float32],
    drawn: NDArray[np.float32],
    size: tuple[int, int],
) -> Image.Image:
    """The mask (mode L, width × height of `size`) that one picture's overlay is made with: white where the
    drawing differs from the original. `mask` is (h, w), latents are (c, h, w)."""
    difference = np.linalg.norm(drawn - original, axis=0)
    difference = _window_mean(difference, 0.9, 1)
    difference = _window_mean(difference, 0.25, 0.75)
    half_seen = settings.composite_difference_threshold * _leniency(settings, mask)
    # A threshold of 0: any difference is too much, and none is none.
    times = np.full_like(difference, np.inf)
    with np.errstate(over="ignore"):
        np.divide(difference, half_seen, out=times, where=half_seen > 0)
        times[difference == 0] = 0
        seen = 1 / (1 + times**settings.composite_difference_contrast)
    seen = seen**3 * (seen * (6 * seen - 15) + 10)
    small = Image.fromarray((255 * (1 - seen)).clip(0, 255).astype(np.uint8))
    return resized(small, ResizeMode.RESIZE_AND_FILL, *size).filter(ImageFilter.GaussianBlur(_ANTIALIASING))


def _leniency(settings: SoftInpainting, mask: NDArray[np.float32]) -> NDArray[np.float64]:
    """By what the threshold is multiplied: near 1 without the mask's influence; with it, 0 in its middle and
    100,000 outside."""
    influence = settings.composite_mask_influence
    kept = 1 - np.clip(mask, 0, 1).astype(np.float64) ** (settings.mask_blend_scale / 2)
    kept = 0.5 * (1 - influence) + kept * influence
    return kept / (1 + _TINY - kept)


def _window_mean(values: NDArray[np.float32], lowest: float, highest: float) -> NDArray[np.float32]:
    """Each value's weighted neighbours, sorted and stacked: the mean of that part of the stack, which is at
    least one weight of 1 high. At the end of the stack it is a maximum, in the middle a median."""
    height, width = values.shape
    near = np.pad(values, _REACH)
    here = np.pad(np.ones_like(values), _REACH)
    kernel = _kernel()
    spots = [
        (slice(down, down + height), slice(across, across + width), weight)
        for (down, across), weight in np.ndenumerate(kernel)
    ]
    stack = np.stack([near[rows, columns] for rows, columns, _ in spots])
    weights = np.stack([here[rows, columns] * weight for rows, columns, weight in spots])
    order = np.argsort(stack, axis=0, kind="stable")
    stack = np.take_along_axis(stack, order, axis=0)
    weights = np.take_along_axis(weights, order, axis=0)
    top = np.cumsum(weights, axis=0)
    start, end = _window(top[-1], lowest, highest)
    shares = (np.minimum(top, end) - np.maximum(top - weights, start)).clip(0)
    mean: NDArray[np.float32] = ((stack * shares).sum(axis=0) / shares.sum(axis=0)).astype(np.float32)
    return mean


def _window(
    whole: NDArray[np.float64], lowest: float, highest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    start, end = whole * lowest, whole * highest
    narrow = end - start < 1
    middle = (start + end) / 2
    start, end = np.where(narrow, middle - 0.5, start), np.where(narrow, middle + 0.5, end)
    over = np.where(narrow, (end - whole).clip(0), 0)
    start, end = start - over, end - over
    under = np.where(narrow, (-start).clip(0), 0)
    return start + under, end + under


def _kernel() -> NDArray[np.float64]:
    """A bell of weights, 1 in the middle and 0 one latent pixel beyond its reach."""
    steps = np.arange(-_REACH, _REACH + 1)
    bell = np.exp(-(steps[:, None] ** 2 + steps[None] ** 2) / _DEVIATION**2)
    floor = np.exp(-((_REACH + 1) ** 2) / _DEVIATION**2)
    return np.asarray((bell - floor) / (1 - floor)).clip(0)
