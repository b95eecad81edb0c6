"""What is kept of a source's latents while a picture is drawn over them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from easel.studio.engine.imaging.soft_inpainting import SoftInpainting, blended


@dataclass(frozen=True)
class LatentMask:
    """`original` (1, channels, rows, columns) is kept where `share` (rows, columns) is 0, redrawn where 1."""

    original: torch.Tensor
    share: torch.Tensor
    soft: SoftInpainting | None = None

    def kept(self, latents: torch.Tensor) -> torch.Tensor:
        """The latents, with the original where it is kept."""
        return latents * self.share + self.original * (1 - self.share)

    def denoised(self, latents: torch.Tensor, sigma: float) -> torch.Tensor:
        """The denoised estimate of a step at `sigma`, with the original where it is kept."""
        if self.soft is not None:
            return blended(self.soft, self.original, latents, self.share, sigma)
        return self.kept(latents)

    def finished(self, latents: torch.Tensor) -> torch.Tensor:
        """The latents after the last step: soft inpainting leaves them as they are."""
        return latents if self.soft is not None else self.kept(latents)
