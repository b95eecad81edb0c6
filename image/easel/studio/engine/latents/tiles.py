"""A VAE in pieces: layer by layer, and a large picture tile by tile.

A whole decode of a large picture takes as long as several UNet calls, and nobody else's call fits in between.
The layers one after another are the very same operations, so the pixels are the same. Above
`UNTILED_PIXELS` it goes by tiles, as diffusers' `tiled_decode` and `tiled_encode` do it: what the VAE needs
of memory then depends on the tile and no longer on the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage
from diffusers.models.unets.unet_2d_blocks import DownEncoderBlock2D, UpDecoderBlock2D

UNTILED_PIXELS = 1 << 21
"""Pixels of the largest picture that is decoded as a whole: the first layer at full size holds 256 channels
of them, 2.1 GB in single precision, and three such tensors live at once."""
TILE = 1024
"""Side of a tile in pixels; a quarter of it overlaps with its neighbours and is blended."""
SMALLER = (1024, 512, 256)
"""Sides of tiles, in pixels, for where memory is short. Smaller ones would show: the VAE attends over all of
a tile, and takes its colours from that."""
_OVERLAP = 0.25
CHANNELS_LAST_PIXELS = 1 << 16
"""Pixels of the largest picture that goes with its channels last on a CPU, where convolutions are faster by a
fifth. torch's GroupNorm loses digits in that layout, the more pixels the more: at 256x256 0.01 of 255 of a
flat picture, at 512x512 0.2."""

Pieces = Generator[None, None, torch.Tensor]
_Layer = Callable[[torch.Tensor], torch.Tensor]


def decoding(vae: Any, latents: torch.Tensor, downscale: int, *, side: int | None = None) -> Pieces:
    """Decode scaled latents (n, channels, height/8, width/8), pausing after each layer. Returns the pixels,
    float32, (n, 3, height, width) in [-1, 1]. `side`: by tiles of so many pixels, whatever the size."""
    height, width = latents.shape[-2:]
    side = tile_side(height * downscale, width * downscale, side)
    if side is None:
        latents = _laid_out(latents, height * width * downscale**2)
        return (yield from _whole(vae, _decoder_layers(vae), latents))
    return (yield from _tiles(vae, _decoder_layers(vae), latents, side // downscale, side))


def encoding(vae: Any, pixels: torch.Tensor, downscale: int, *, side: int | None = None) -> Pieces:
    """Encode pixels (n, 3, height, width) in [-1, 1], pausing after each layer. Returns the mean of the
    latents' distribution, not scaled, float32, (n, channels, height/8, width/8)."""
    height, width = pixels.shape[-2:]
    side = tile_side(height, width, side)
    layers = _encoder_layers(vae)
    if side is None:
        moments = yield from _whole(vae, layers, _laid_out(pixels, height * width))
    else:
        moments = yield from _tiles(vae, layers, pixels, side, side // downscale)
    return moments.chunk(2, dim=1)[0].contiguous()


def at_once(pieces: Pieces) -> torch.Tensor:
    """What comes of the pieces, without a pause."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            found: torch.Tensor = end.value
            return found


def tile_side(height: int, width: int, asked: int | None = None) -> int | None:
    """Pixels of a tile's side, None for a picture that goes as a whole; `asked` for where memory is short."""
    side = TILE if asked is None else asked
    if max(height, width) <= side or (asked is None and height * width <= UNTILED_PIXELS):
        return None
    return side


def _laid_out(given: torch.Tensor, pixels: int) -> torch.Tensor:
    """In the layout that is the quickest for so many pixels. Layers go on in what they are given."""
    last = given.device.type == "cpu" and pixels <= CHANNELS_LAST_PIXELS
    return given.contiguous(memory_format=torch.channels_last) if last else given


def _whole(vae: Any, layers: list[_Layer], given: torch.Tensor) -> Pieces:
    hidden = given
    for layer in layers:
        # cast each time: while this waits, somebody else's picture may have moved the VAE to float32. Not by
        # `vae.dtype`, for which diffusers walks through all of its modules: 8 ms of a small picture's 250
        hidden = layer(hidden.to(next(vae.parameters()).dtype))
        yield
    return hidden.float()


def _decoder_layers(vae: Any) -> list[_Layer]:
    """What `AutoencoderKL.decode` does, in order; in one where its decoder is built otherwise."""
    if isinstance(vae, AutoencoderKLQwenImage):
        return _frame_decoder_layers(vae)
    decoder = vae.decoder
    blocks = decoder.up_blocks
    if not all(type(block) is UpDecoderBlock2D for block in blocks):
        return [lambda z: vae.decode(z, return_dict=False)[0]]
    layers: list[_Layer] = [] if vae.post_quant_conv is None else [vae.post_quant_conv]
    layers += [decoder.conv_in, *_middle(decoder.mid_block)]
    for block in blocks:
        layers += [_timeless(resnet) for resnet in block.resnets]
        layers += list(block.upsamplers or ())
    return [*layers, lambda hidden: decoder.conv_act(decoder.conv_norm_out(hidden)), decoder.conv_out]


def _encoder_layers(vae: Any) -> list[_Layer]:
    """What `AutoencoderKL.encode` does up to the moments, in order; in one where it is built otherwise."""
    if isinstance(vae, AutoencoderKLQwenImage):
        return _frame_encoder_layers(vae)
    encoder = vae.encoder
    blocks = encoder.down_blocks
    if not all(type(block) is DownEncoderBlock2D for block in blocks):
        return [lambda pixels: vae.encode(pixels, return_dict=False)[0].parameters]
    layers: list[_Layer] = [encoder.conv_in]
    for block in blocks:
        layers += [_timeless(resnet) for resnet in block.resnets]
        layers += list(block.downsamplers or ())
    layers += [*_middle(encoder.mid_block), lambda hidden: encoder.conv_act(encoder.conv_norm_out(hidden))]
    return [*layers, encoder.conv_out, *([] if vae.quant_conv is None else [vae.quant_conv])]


def _frame_decoder_layers(vae: Any) -> list[_Layer]:
    """What `AutoencoderKLQwenImage.decode` does with a film of one frame, whose layers look back at none: it
    keeps a copy of what each saw for the next frame, which does not come."""
    decoder = vae.decoder
    layers: list[_Layer] = [lambda z: vae.post_quant_conv(z.unsqueeze(2)), decoder.conv_in]
    layers += _frame_middle(decoder.mid_block)
    for block in decoder.up_blocks:
        layers += [*block.resnets, *(block.upsamplers or ())]
    layers.append(lambda hidden: decoder.nonlinearity(decoder.norm_out(hidden)))
    return [*layers, lambda hidden: decoder.conv_out(hidden).squeeze(2).clamp(-1, 1)]


def _frame_encoder_layers(vae: Any) -> list[_Layer]:
    """What `AutoencoderKLQwenImage.encode` does with one frame, up to the moments."""
    encoder = vae.encoder
    layers: list[_Layer] = [lambda pixels: encoder.conv_in(pixels.unsqueeze(2)), *encoder.down_blocks]
    layers += _frame_middle(encoder.mid_block)
    layers.append(lambda hidden: encoder.nonlinearity(encoder.norm_out(hidden)))
    return [*layers, encoder.conv_out, lambda hidden: vae.quant_conv(hidden).squeeze(2)]


def _frame_middle(block: Any) -> list[_Layer]:
    layers = [block.resnets[0]]
    for attention, resnet in zip(block.attentions, block.resnets[1:], strict=True):
        layers += [attention, resnet]
    return layers


def _middle(block: Any) -> list[_Layer]:
    layers = [_timeless(block.resnets[0])]
    for attention, resnet in zip(block.attentions, block.resnets[1:], strict=True):
        layers += [*([] if attention is None else [attention]), _timeless(resnet)]
    return layers


def _timeless(resnet: Any) -> _Layer:
    """A residual block that knows no timestep."""
    return lambda hidden: resnet(hidden, None)


def _tiles(vae: Any, layers: list[_Layer], given: torch.Tensor, side: int, side_behind: int) -> Pieces:
    """Tiles of `side` pixels of what goes in, `side_behind` of what comes out, blended where they overlap;
    see `AutoencoderKL.tiled_decode`."""
    stride = int(side * (1 - _OVERLAP))
    blend = int(side_behind * _OVERLAP)
    keep = side_behind - blend
    above: list[torch.Tensor] = []
    rows: list[torch.Tensor] = []
    for top in range(0, given.shape[-2], stride):
        row: list[torch.Tensor] = []
        kept: list[torch.Tensor] = []
        for left in range(0, given.shape[-1], stride):
            tile = yield from _whole(vae, layers, given[..., top : top + side, left : left + side])
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
