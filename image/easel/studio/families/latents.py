"""What the latents of a VAE are like, by its `config.json`: without torch, for families are known without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class LatentShape(NamedTuple):
    """Channels of the latents that are drawn, and pixels along a side of the picture for one of them."""

    channels: int
    downscale: int


def latent_shape(vae: Mapping[str, Any]) -> LatentShape:
    """The latents that are drawn: the VAE's own, or, where it cuts them into patches (Flux.2), these."""
    down = pixels_of_latent(vae)
    if _is_of_films(vae):
        return LatentShape(int(vae["z_dim"]), down)
    high, wide = vae.get("patch_size") or (1, 1)
    return LatentShape(int(vae["latent_channels"]) * high * wide, down * wide)


def pixels_of_latent(vae: Mapping[str, Any]) -> int:
    """Pixels along a side of the picture for one of the VAE's own latents."""
    halved = len(vae["temperal_downsample"]) if _is_of_films(vae) else len(vae["block_out_channels"]) - 1
    return int(2**halved)


def _is_of_films(vae: Mapping[str, Any]) -> bool:
    return "temperal_downsample" in vae  # diffusers' spelling
