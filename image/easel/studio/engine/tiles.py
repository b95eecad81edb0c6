"""A VAE's decoder in pieces: layer by layer, and a large picture tile by tile.

A whole decode of a large picture takes as long as several UNet calls, and nobody else's call fits in between.
The layers one after another are the very same operations, so the pixels are the same. Above
`UNTILED_PIXELS` it goes by tiles, as diffusers' `tiled_decode` does it: what the decoder needs of memory then
depends on the tile and no longer on the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import torch
from diffusers.models.unets.unet_2d_blocks import UpDecoderBlock2D

UNTILED_PIXELS = 1 << 21
"""Pixels of the largest picture that is decoded as a whole: the first layer at full size holds 256 channels
of them, 2.1 GB in single precision, and three such tensors live at once."""
TILE = 1024
"""Side of a tile in pixels; a quarter of it overlaps with its neighbours and is blended."""
_OVERLAP = 0.25

Pieces = Generator[None, None, torch.Tensor]
_Layer = Callable[[torch.Tensor], torch.Tensor]


def pieces(vae: Any, latents: torch.Tensor, downscale: int, *, tiled: bool = False) -> Pieces:
    """Decode scaled latents (n, channels, height/8, width/8), pausing after each layer. Returns the pixels,
    float32, (n, 3, height, width) in [-1, 1]. `tiled`: by smaller tiles, whatever the size."""
    height, width = (side * downscale for side in latents.shape[-2:])
    side = (TILE // 2 if tiled else TILE) // downscale
    if max(latents.shape[-2:]) <= side or not (tiled or height * width > UNTILED_PIXELS):
        return (yield from _whole(vae, latents))
    return (yield from _tiles(vae, latents, side, downscale))


def _whole(vae: Any, latents: torch.Tensor) -> Pieces:
    hidden = latents
    for layer in _layers(vae):
        # cast each time: while this waits, somebody else's picture may have moved the VAE to float32
        hidden = layer(hidden.to(vae.dtype))
        yield
    return hidden.float()


def _layers(vae: Any) -> list[_Layer]:
    """What `AutoencoderKL.decode` does, in order; in one where its decoder is built otherwise."""
    decoder = vae.decoder
    blocks = decoder.up_blocks
    if not all(type(block) is UpDecoderBlock2D for block in blocks):
        return [lambda z: vae.decode(z, return_dict=False)[0]]
    middle = decoder.mid_block
    layers: list[_Layer] = [] if vae.post_quant_conv is None else [vae.post_quant_conv]
    layers += [decoder.conv_in, _timeless(middle.resnets[0])]
    for attention, resnet in zip(middle.attentions, middle.resnets[1:], strict=True):
        layers += [*([] if attention is None else [attention]), _timeless(resnet)]
    for block in blocks:
        layers += [_timeless(resnet) for resnet in block.resnets]
        layers += list(block.upsamplers or ())
    return [*layers, lambda hidden: decoder.conv_act(decoder.conv_norm_out(hidden)), decoder.conv_out]


def _timeless(resnet: Any) -> _Layer:
    """A residual block that knows no timestep."""
    return lambda hidden: resnet(hidden, None)


def _tiles(vae: Any, latents: torch.Tensor, side: int, downscale: int) -> Pieces:
    """Tiles of `side` latent pixels, blended where they overlap; see `AutoencoderKL.tiled_decode`."""
    stride = int(side * (1 - _OVERLAP))
    blend = int(side * downscale * _OVERLAP)
    keep = side * downscale - blend
    above: list[torch.Tensor] = []
    rows: list[torch.Tensor] = []
    for top in range(0, latents.shape[-2], stride):
        row: list[torch.Tensor] = []
        kept: list[torch.Tensor] = []
        for left in range(0, latents.shape[-1], stride):
            tile = yield from _whole(vae, latents[..., top : top + side, left : left + side])
            if above:
                tile = _blend(above[len(row)], tile, blend, -2)
            if row:
                tile = _blend(row[-1], tile, blend, -1)
            row.append(tile)
            kept.append(tile[..., :keep, :keep])
        above = row
        rows.append(torch.cat(kept, dim=-1))
    return torch.cat(rows, dim=-2)


def _blend(before: torch.Tensor, after: torch.Tensor, extent: int, dim: int) -> torch.Tensor:
    """`after`, its first `extent` rows or columns faded in over the last ones of `before`."""
    extent = min(before.shape[dim], after.shape[dim], extent)
    shape = [1] * after.dim()
    shape[dim] = extent
    share = (torch.arange(extent, device=after.device, dtype=after.dtype) / extent).reshape(shape)
    end = before.narrow(dim, before.shape[dim] - extent, extent)
    begin = after.narrow(dim, 0, extent)
    begin.copy_(end * (1 - share) + begin * share)
    return after
