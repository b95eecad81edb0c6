"""From latents to RGB pixels: whole pictures through the VAE, previews through a linear map where that is
dear."""

from __future__ import annotations

import time
from typing import Any

import torch
from PIL import Image

from easel.studio.engine.checkpoint import Checkpoint

# A full decode this quick is the better preview; a VAE's takes a second for a large picture on a CPU.
QUICK_SECONDS = 0.06


class Decoder:
    """Decodes for one checkpoint and remembers how long a picture of each size takes."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._seconds: dict[torch.Size, float] = {}

    @torch.inference_mode()
    def pictures(self, latents: list[torch.Tensor], vae: Any = None) -> list[Image.Image]:
        """Full decode of latents (1, channels, height/8, width/8) of one size, in one call."""
        vae = self._checkpoint.vae if vae is None else vae
        began = time.perf_counter()
        pixels = self._decode(torch.cat(latents), vae)
        if not bool(torch.isfinite(pixels).all()) and vae.dtype != torch.float32:
            # SDXL's own VAE overflows in half precision (madebyollin/sdxl-vae-fp16-fix); float32 always works
            vae.to(torch.float32)
            pixels = self._decode(torch.cat(latents), vae)
        images = _images(pixels)
        self._seconds[latents[0].shape] = (time.perf_counter() - began) / len(latents)
        return images

    def preview(self, latents: torch.Tensor, vae: Any = None) -> Image.Image:
        """A look at unfinished latents, full size where that is quick, else one pixel for every eight."""
        if self._seconds.get(latents.shape, QUICK_SECONDS) < QUICK_SECONDS:
            return self.pictures([latents], vae)[0]
        preview = self._checkpoint.family.preview
        factors = torch.tensor(preview.factors, device=latents.device)
        bias = torch.tensor(preview.bias, device=latents.device)
        flat = torch.einsum("bchw,cr->brhw", latents.float(), factors) + bias[None, :, None, None]
        small = _images(flat)[0]
        scale = self._checkpoint.family.downscale
        return small.resize((small.width * scale, small.height * scale), Image.Resampling.BICUBIC)

    def _decode(self, latents: torch.Tensor, vae: Any) -> torch.Tensor:
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        scaled = latents / vae.config.scaling_factor + shift
        try:
            decoded = vae.decode(scaled.to(vae.dtype), return_dict=False)[0]
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            vae.enable_tiling()
            try:
                decoded = vae.decode(scaled.to(vae.dtype), return_dict=False)[0]
            finally:
                vae.disable_tiling()
        pixels: torch.Tensor = decoded.float()
        return pixels


def _images(pixels: torch.Tensor) -> list[Image.Image]:
    """RGB images of (n, 3, height, width) in [-1, 1]."""
    scaled = ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return [Image.fromarray(one) for one in scaled.permute(0, 2, 3, 1).cpu().numpy()]
