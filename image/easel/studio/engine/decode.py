"""From latents to RGB pixels: pictures by the VAE, in pieces; previews by a linear map where that is dear."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import structlog
import torch
from PIL import Image

from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.tiles import pieces

log = structlog.get_logger(__name__)

# A full decode this quick is the better preview; a VAE's takes a second for a large picture on a CPU.
QUICK_SECONDS = 0.06
# Small pictures go through the VAE together: latent pixels of a group, a picture of 512 by 512.
TOGETHER = 64 * 64
# A decode takes about what three rows of UNet calls do (SD 1.5: 2.5 teraflops to 0.8), in so many turns where
# it is not over in one.
_ROWS, _TURNS = 3, 16
PIECE_SECONDS = 0.1
"""How long a turn of decoding goes on before somebody else's may come; one layer more at the most."""


class Decoder:
    """Decodes for one checkpoint and remembers how long a picture of each size takes."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._seconds: dict[torch.Size, float] = {}

    @torch.inference_mode()
    def pictures(self, latents: list[torch.Tensor], vae: Any = None) -> list[Image.Image]:
        """Full decode of latents (1, channels, height/8, width/8) of one size, at once."""
        decoding = Decoding(self, latents, vae)
        while (images := decoding.go_on(None)) is None:
            pass
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

    def took(self, shape: torch.Size, seconds: float) -> None:
        """A picture of this shape took so long."""
        self._seconds[shape] = seconds

    def steps(
        self, latents: torch.Tensor, vae: Any, *, tiled: bool = False
    ) -> Generator[None, None, torch.Tensor]:
        """The pixels of latents as the UNet left them, in pieces; by tiles where memory is short."""
        vae = self._checkpoint.vae if vae is None else vae
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        scaled = latents / vae.config.scaling_factor + shift
        pixels = yield from pieces(vae, scaled, self._checkpoint.family.downscale, tiled=tiled)
        if not bool(torch.isfinite(pixels).all()) and vae.dtype != torch.float32:
            # SDXL's own VAE overflows in half precision (madebyollin/sdxl-vae-fp16-fix); float32 always works
            vae.to(torch.float32)
            pixels = yield from pieces(vae, scaled, self._checkpoint.family.downscale, tiled=tiled)
        return pixels


class Decoding:
    """Pictures of one size and VAE on their way through it, together."""

    def __init__(self, decoder: Decoder, latents: list[torch.Tensor], vae: Any) -> None:
        self._decoder = decoder
        self._latents = latents
        self._vae = vae
        self._spent = 0.0
        self._done: list[torch.Tensor] = []
        self._left = [torch.cat(latents)]
        self._steps = decoder.steps(self._left[0], vae)
        self._tiled = False

    @torch.inference_mode()
    def go_on(self, seconds: float | None) -> list[Image.Image] | None:
        """Decode for about `seconds` (a layer more at most), or to the end. The images at last."""
        began = time.perf_counter()
        while self._left:
            self._one_piece()
            if seconds is not None and time.perf_counter() - began >= seconds:
                break
        self._spent += time.perf_counter() - began
        if self._left:
            return None
        self._decoder.took(self._latents[0].shape, self._spent / len(self._latents))
        return _images(torch.cat(self._done))

    def _one_piece(self) -> None:
        try:
            next(self._steps)
            if self._left[0].device.type == "cuda":
                torch.cuda.synchronize()  # or the time that is measured would be that of asking
        except StopIteration as end:
            self._done.append(end.value)
            del self._left[0]
        except torch.OutOfMemoryError:
            if self._tiled:
                raise
            # once more, with less at a time: one picture, in tiles
            log.warning("tiled", pictures=len(self._latents), reason="out of memory")
            self._tiled = True
            self._done, self._left = [], list(self._latents)
            torch.cuda.empty_cache()
        else:
            return
        if self._left:
            self._steps = self._decoder.steps(self._left[0], self._vae, tiled=self._tiled)


def cost(latent_pixels: int) -> int:
    """The work of one turn of decoding a picture, in the unit of `Turn.cost`."""
    turns = 1 if latent_pixels <= TOGETHER else _TURNS
    return max(1, latent_pixels * _ROWS // turns)


def _images(pixels: torch.Tensor) -> list[Image.Image]:
    """RGB images of (n, 3, height, width) in [-1, 1]."""
    scaled = ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return [Image.fromarray(one) for one in scaled.permute(0, 2, 3, 1).cpu().numpy()]
