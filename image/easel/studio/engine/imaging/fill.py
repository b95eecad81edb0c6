"""`inpainting_fill`: what lies under the mask before the first step."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from PIL import Image, ImageFilter, ImageOps

if TYPE_CHECKING:
    import torch

_BLURS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""Radius in pixels and how often it is laid over what is there: from far colours to near ones."""


class MaskedContent(IntEnum):
    """`inpainting_fill` of A1111's img2img."""

    FILL = 0
    """Colours from around the mask."""
    ORIGINAL = 1
    """What is there."""
    LATENT_NOISE = 2
    """Noise, in the latents."""
    LATENT_NOTHING = 3
    """Zeros, in the latents."""


def filled_from_around(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture (RGB), the masked part painted with blurred colours of the rest; black where all is masked.

    A1111 does this for every content but `ORIGINAL`: the latents outside of the mask see its inside through
    the VAE.
    """
    kept = Image.new("RGBa", image.size)
    kept.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask.convert("L")))
    painted = Image.new("RGBA", image.size)
    for radius, times in _BLURS:
        layer = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            painted.alpha_composite(layer)
    return painted.convert("RGB")


def latent_noise(latents: torch.Tensor, mask: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Latents (n, c, h, w) with noise under the mask (h, w; 1 is drawn anew).

    `noise` is that of each picture's seed at this size, without variation seed: the very noise that is added
    again before the first step.
    """
    return latents * (1 - mask) + noise * mask


def latent_nothing(latents: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Latents (n, c, h, w) with zeros under the mask (h, w; 1 is drawn anew)."""
    return latents * (1 - mask)
