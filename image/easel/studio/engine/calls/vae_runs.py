"""Between latents and pixels: through the VAE in stretches; previews by a linear map where that is dear."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import structlog
import torch
from PIL import Image

from easel.studio.engine.calls.device_calls import VaeCall
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.latents.latent_spaces import latent_space
from easel.studio.engine.latents.tiles import SMALLER, Pieces, tile_side
from easel.studio.engine.latents.tiling import edges_meet
from easel.studio.engine.memory.device_memory import forget_frames, give_back, is_out_of_memory

log = structlog.get_logger(__name__)

# A full decode this quick is the better preview; a VAE's takes a second for a large picture on a CPU.
QUICK_SECONDS = 0.06
STRETCH_SECONDS = 0.1
"""How long a stretch goes on before somebody else's turn may come; one layer more at the most."""


class LatentPreviews:
    """Looks at unfinished latents of one checkpoint; remembers how long a full decode of each size takes."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._seconds: dict[torch.Size, float] = {}

    def took(self, run: VaeRun) -> None:
        """A run is through; of decodes their time is remembered."""
        if run.way == "decode":
            self._seconds[run.shape] = run.seconds

    def draw(self, latents: torch.Tensor, vae: Any) -> Image.Image:
        """A look at latents, full size where that is quick, else one pixel for every eight."""
        family = self._checkpoint.family
        if self._seconds.get(latents.shape, QUICK_SECONDS) < QUICK_SECONDS:
            run = VaeRun([VaeCall("decode", latents, vae, None, family.downscale)])
            while (found := run.go_on(None)) is None:
                pass
            image: Image.Image = found[0]
            return image
        preview = family.preview
        factors = torch.tensor(preview.factors, device=latents.device)
        bias = torch.tensor(preview.bias, device=latents.device)
        flat = torch.einsum("bchw,cr->brhw", latents.float(), factors) + bias[None, :, None, None]
        small = _images(flat)[0]
        scale = family.downscale
        return small.resize((small.width * scale, small.height * scale), Image.Resampling.BICUBIC)


class VaeRun:
    """Pictures of one size and VAE on their way through it."""

    def __init__(self, calls: list[VaeCall], *, together: bool = True, side: int | None = None) -> None:
        """`calls` are of one kind. Where memory is short they do not go `together`, and by tiles of `side`
        pixels."""
        self.way, self._vae, self._downscale = calls[0].way, calls[0].vae, calls[0].downscale
        self._tiling = calls[0].tiling
        if calls[0].exact and next(self._vae.parameters()).dtype != torch.float32:
            # else whether somebody's picture overflowed before would show: see `_safe`
            self._vae.to(torch.float32)
        self.shape = calls[0].given.shape
        self._calls = calls
        self._spent = 0.0
        self._done: list[torch.Tensor] = []
        one_by_one = [call.given for call in calls]
        self._left = [torch.cat(one_by_one)] if together else one_by_one
        self._side = side
        self._steps = self._next()

    @property
    def seconds(self) -> float:
        """What it took, for one picture."""
        return self._spent / len(self._calls)

    @torch.inference_mode()
    def go_on(self, seconds: float | None) -> list[Any] | None:
        """Go on for about `seconds` (a layer more at most), or to the end. At last each call's answer:
        images, or latents."""
        began = time.perf_counter()
        while self._left:
            self._one_piece()
            if seconds is not None and time.perf_counter() - began >= seconds:
                break
        self._spent += time.perf_counter() - began
        if self._left:
            return None
        whole = torch.cat(self._done)
        return _images(whole) if self.way == "decode" else list(torch.split(whole, 1))

    def _one_piece(self) -> None:
        try:
            with edges_meet(self._vae, self._tiling):
                next(self._steps)
            if self._left[0].device.type == "cuda":
                torch.cuda.synchronize()  # or the time that is measured would be that of asking
            return
        except StopIteration as end:
            self._done.append(end.value)
            del self._left[0]
        except (RuntimeError, MemoryError) as error:
            # once more, with less at a time: one picture, then in tiles, then in smaller ones
            together = self._left[0].shape[0] > 1
            side = self._side if together else self._smaller()
            if not is_out_of_memory(error) or (side is None and not together):
                raise
            log.warning("again by less", way=self.way, tile=side, pictures=len(self._calls),
                        reason="out of memory")  # fmt: skip
            self._side = side
            self._done, self._left = [], [call.given for call in self._calls]
            forget_frames(error)
            give_back(self._left[0].device)
        if self._left:
            self._steps = self._next()

    def _smaller(self) -> int | None:
        """The side of the next smaller tiles; None where there are none."""
        scale = self._downscale if self.way == "decode" else 1
        height, width = (side * scale for side in self.shape[-2:])
        now = tile_side(height, width, self._side) or max(height, width)
        return next((side for side in SMALLER if side < now), None)

    def _next(self) -> Generator[None, None, torch.Tensor]:
        return _safe(self._vae, self._left[0], self.way, side=self._side)


def _safe(vae: Any, given: torch.Tensor, way: str, *, side: int | None) -> Pieces:
    """Through the VAE in its own precision, and again in full where that overflows."""
    space = latent_space(vae)
    through = space.decoding if way == "decode" else space.encoding
    found = yield from through(vae, given, side=side)
    if not bool(torch.isfinite(found).all()) and vae.dtype != torch.float32:
        # SDXL's own VAE overflows in half precision (madebyollin/sdxl-vae-fp16-fix); float32 always works
        vae.to(torch.float32)
        found = yield from through(vae, given, side=side)
    return found


def _images(pixels: torch.Tensor) -> list[Image.Image]:
    """RGB images of (n, 3, height, width) in [-1, 1]."""
    scaled = ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return [Image.fromarray(one) for one in scaled.permute(0, 2, 3, 1).cpu().numpy()]
