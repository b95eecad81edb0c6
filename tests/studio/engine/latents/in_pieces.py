"""A VAE's way in pieces, from its beginning to its end."""

from __future__ import annotations

import torch

from easel.studio.engine.latents.tiles import Pieces


def run(steps: Pieces) -> tuple[torch.Tensor, int]:
    """What comes of it, and in how many pieces."""
    count = 0
    while True:
        try:
            next(steps)
            count += 1
        except StopIteration as end:
            return end.value, count
