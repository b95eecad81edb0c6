"""Latents as Flux and its kin read them: patches of 2x2, one token each, and where in the picture each lies.

A token holds its patch channel by channel, four numbers of each (diffusers' `FluxPipeline._pack_latents`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

SIDE = 2
"""Latent pixels along a patch's side."""


def packed(latents: torch.Tensor) -> torch.Tensor:
    """Tokens (rows, patches, 4·channels) of latents (rows, channels, height, width), both sides even."""
    return F.pixel_unshuffle(latents, SIDE).flatten(2).transpose(1, 2)


def unpacked(tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Latents of this size from their tokens."""
    squares = tokens.transpose(1, 2).reshape(len(tokens), -1, height // SIDE, width // SIDE)
    return F.pixel_shuffle(squares, SIDE)


def laid_out(pictures: Sequence[torch.Tensor]) -> list[tuple[int, int]]:
    """Row and column, in patches, where each picture begins if all lie in one: the next one goes below those
    that are there, or beside them where that keeps the whole nearer to a square."""
    height = width = 0
    found = []
    for rows, columns in ((one.shape[-2] // SIDE, one.shape[-1] // SIDE) for one in pictures):
        at = (0, width) if rows + height > columns + width else (height, 0)
        found.append(at)
        height, width = max(height, at[0] + rows), max(width, at[1] + columns)
    return found


def positions(latents: torch.Tensor, picture: int = 0, at: tuple[int, int] = (0, 0)) -> torch.Tensor:
    """Of each token (patches, 3): the number of its picture (0 is the one that is drawn), row and column,
    counted from `at`.

    Made anew for each call, on the latents' device: cheap, nothing waits for it, and it is nobody's memory.
    """
    rows, columns = (side // SIDE for side in latents.shape[-2:])
    found = torch.empty((rows, columns, 3), device=latents.device)
    found[..., 0] = picture
    found[..., 1] = torch.arange(at[0], at[0] + rows, device=latents.device)[:, None]
    found[..., 2] = torch.arange(at[1], at[1] + columns, device=latents.device)
    return found.flatten(0, 1)


def folded(mask: torch.Tensor, downscale: int = 8) -> torch.Tensor:
    """A mask of the picture's pixels (rows, 1, height, width) at the latents' size: (rows, 64, height/8,
    width/8), a channel for each pixel of the square behind a latent pixel."""
    return F.pixel_unshuffle(mask, downscale)
