"""Hires fix and refiner: what a picture is drawn with once the first sampling has got somewhere."""

from __future__ import annotations

from dataclasses import dataclass

from easel.studio.engine.errors import check_range

MAX_SCALE = 8.0
_GRID = 8


@dataclass(frozen=True, kw_only=True)
class HiresFix:
    """Draw small, enlarge, and draw over it again, as A1111 does.

    The size is `resize_x` × `resize_y`, or by one of them alone, or `scale` times the first pass's.
    `upscaler` is a latent mode's name or an upscaler's; the store knows which there are. `modules` are text
    encoders of its own (`TextToImage.modules`). What is 0, None or "" is the first pass's own.
    """

    denoising_strength: float = 0.7
    upscaler: str = "Latent"
    scale: float = 2.0
    resize_x: int = 0
    resize_y: int = 0
    steps: int = 0
    sampler: str | None = None
    schedule_type: str | None = None
    checkpoint: str | None = None
    modules: tuple[str, ...] = ()
    prompt: str = ""
    negative_prompt: str = ""
    cfg_scale: float | None = None

    def check(self) -> None:
        """Raise InvalidRequest for what cannot be drawn."""
        check_range("denoising_strength", self.denoising_strength, 0, 1)
        if not self.resize_x and not self.resize_y:  # in its place, whatever a program sends beside them
            check_range("hr_scale", self.scale, 1, MAX_SCALE)

    def upscaled(self, width: int, height: int) -> tuple[int, int]:
        """What the first pass's size is enlarged to, in pixels; the rest of `size` is cut off evenly."""
        if not self.resize_x and not self.resize_y:
            return int(width * self.scale), int(height * self.scale)
        x, y = self.resize_x, self.resize_y
        if not y or (x and width / height < x / y):
            return x, x * height // width
        return y * width // height, y

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the picture, in pixels, multiples of 8."""
        across, down = self.upscaled(width, height)
        cut_x, cut_y = (
            (across - self.resize_x, down - self.resize_y) if self.resize_x and self.resize_y else (0, 0)
        )
        return (across // _GRID - cut_x // _GRID) * _GRID, (down // _GRID - cut_y // _GRID) * _GRID


@dataclass(frozen=True, kw_only=True)
class Refiner:
    """Another checkpoint that draws the picture to its end, from `switch_at` of the steps on."""

    checkpoint: str
    switch_at: float = 0.8

    def check(self) -> None:
        """Raise InvalidRequest for what cannot be drawn."""
        check_range("refiner_switch_at", self.switch_at, 0, 1)
