"""A picture on its way through an upscaler: tile by tile, so that others get their turn between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import structlog
import torch
from PIL import Image

from easel.remark import remark
from easel.studio.engine.imaging import PIXEL_UPSCALERS, tile_grid
from easel.studio.engine.memory.device_memory import forget_frames, give_back, is_out_of_memory
from easel.studio.engine.observer import CallKind
from easel.studio.engine.upscaling.enlargement import UpscalerTiles

log = structlog.get_logger(__name__)

# Where nobody says: A1111's ESRGAN_tile, in pixels of what goes in; on a CPU such a tile takes an ESRGAN nine
# seconds (one core) that everybody else would wait for.
TILES = {"cuda": 192, "cpu": 64}
# The largest that anybody gets: everybody else waits for one of them, on a CPU two seconds.
LARGEST = {"cuda": 512, "cpu": 96}
# A UNet of SD 1.5 does so much for one latent pixel, an upscaler twice its weights for one pixel.
_LATENT_PIXEL = 200_000_000
# Where not even this fits, smaller ones would be all overlap.
_SMALLEST = 32

_OWN = UpscalerTiles()


class FilterRun:
    """A pass of an upscaler that has no weights: one of `PIXEL_UPSCALERS`, all of it in one turn."""

    words = "upscaler"
    calls: CallKind = "upscaler"
    share = 0.0
    cost = 1

    def __init__(self, image: Image.Image, name: str, factor: float) -> None:
        self._image, self._name, self._factor = image, name, factor

    def go_on(self) -> Image.Image:
        """The picture."""
        return PIXEL_UPSCALERS[self._name](self._image, self._factor)


class UpscaleRun:
    """One pass of a model of spandrel's over one picture."""

    words = "upscaler"
    calls: CallKind = "upscaler"

    def __init__(self, image: Image.Image, model: Any, tiles: UpscalerTiles = _OWN) -> None:
        device = model.device.type
        wanted = TILES[device] if tiles.side is None else tiles.side or max(image.size)
        side = min(wanted, LARGEST[device])
        self.note = ""
        """What there is to say: how it is cut, where that is not as it was asked for."""
        if side < min(wanted, max(image.size)):
            self.note = remark(
                "smaller_tiles",
                "Upscalers cut pictures into tiles of {side} pixels and not of {wanted}: everybody else "
                "waits for a tile, and this device takes long for a larger one.",
                side=side,
                wanted=wanted,
            )
        self._overlap = tiles.overlap
        self._image = image.convert("RGB")
        self._alpha = image.getchannel("A") if image.mode == "RGBA" else None
        self._model = model
        self._weights: int = sum(one.numel() for one in model.model.parameters())
        self._begin(side)

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return len(self._done) / len(self._tiles)

    @property
    def cost(self) -> int:
        """The work of a tile, in latent pixels."""
        width, height = self._grid.tile
        return max(1, 2 * self._weights * width * height // _LATENT_PIXEL)

    @torch.inference_mode()
    def go_on(self) -> Image.Image | None:
        """Make one tile. Behind the last the picture: RGB, or RGBA where one came in, what is transparent
        enlarged without the model.

        Where the device has no room for a tile, all begins again with smaller ones; the error of the smallest
        is raised.
        """
        try:
            self._done.append(self._upscaled(self._tiles[len(self._done)]))
        except (RuntimeError, MemoryError) as error:
            smaller = max(self._grid.tile) // 2
            if not is_out_of_memory(error) or smaller < _SMALLEST:
                raise
            log.warning("smaller tiles", side=smaller, reason="out of memory")
            self._begin(smaller)
            forget_frames(error)
            give_back(self._model.device)
        if len(self._done) < len(self._tiles):
            return None
        whole = self._grid.scaled(self._model.scale).joined(self._done)
        if self._alpha is not None:
            whole.putalpha(self._alpha.resize(whole.size, Image.Resampling.LANCZOS))
        return whole

    def _begin(self, tile: int) -> None:
        self._grid = tile_grid(
            *self._image.size, tile_width=tile, tile_height=tile, overlap=min(self._overlap, tile // 2)
        )
        self._tiles = self._grid.cut(self._image)
        self._done: list[Image.Image] = []

    def _upscaled(self, tile: Image.Image) -> Image.Image:
        pixels = torch.from_numpy(np.asarray(tile, np.float32) / 255).permute(2, 0, 1)[None]
        found = self._through(pixels)
        if self._model.dtype == torch.float16 and not bool(torch.isfinite(found).all()):
            self._model.float()  # some overflow in half precision, whatever their architecture holds
            found = self._through(pixels)
        array = (found[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        return Image.fromarray(array)

    def _through(self, pixels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self._model(pixels.to(self._model.device, self._model.dtype))
        return found.float()
