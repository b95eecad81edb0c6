"""Upscalers that need no weights, and what all upscalers of pixels have in common in A1111."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple

from PIL import Image

MAX_PIXELS = 1 << 27
"""134 million, 400 MB: what an upscaler may be asked for. A thin picture that covers a square would ask for
billions."""


class TooManyPixels(ValueError):
    """A picture would grow beyond what memory holds."""


class LatentUpscaleMode(NamedTuple):
    """How torch's `interpolate` makes latents larger."""

    mode: str
    antialias: bool


LATENT_UPSCALE_MODES = {
    "Latent": LatentUpscaleMode("bilinear", antialias=False),
    "Latent (antialiased)": LatentUpscaleMode("bilinear", antialias=True),
    "Latent (bicubic)": LatentUpscaleMode("bicubic", antialias=False),
    "Latent (bicubic antialiased)": LatentUpscaleMode("bicubic", antialias=True),
    "Latent (nearest)": LatentUpscaleMode("nearest", antialias=False),
    "Latent (nearest-exact)": LatentUpscaleMode("nearest-exact", antialias=False),
}
"""By A1111's names, in its order; the first is hires fix's default."""


def _untouched(image: Image.Image, _: float) -> Image.Image:
    return image


def _lanczos(image: Image.Image, factor: float) -> Image.Image:
    return image.resize(_times(image, factor), Image.Resampling.LANCZOS)


def _nearest(image: Image.Image, factor: float) -> Image.Image:
    return image.resize(_times(image, factor), Image.Resampling.NEAREST)


PIXEL_UPSCALERS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "None": _untouched,
    "Lanczos": _lanczos,
    "Nearest": _nearest,
}
"""By A1111's names, in its order: one pass over a picture, given the factor that is asked for in all."""


def upscaled(
    image: Image.Image, factor: float, once: Callable[[Image.Image, float], Image.Image]
) -> Image.Image:
    """The picture about `factor` times as large, by passes of `once`; see `upscaling`."""
    passes = upscaling(image, factor)
    try:
        image = next(passes)
        while True:
            image = passes.send(once(image, factor))
    except StopIteration as end:
        result: Image.Image = end.value
        return result


def upscaling(image: Image.Image, factor: float) -> Generator[Image.Image, Image.Image, Image.Image]:
    """The picture about `factor` times as large, each side a multiple of 8 (rounded down, at least 8).

    Yields what a pass of an upscaler is to be made over, and is sent what came of it; that may be larger by a
    factor of its own: there are up to three passes, until the size is reached or one changes nothing; Lanczos
    does the rest. Raises TooManyPixels.
    """
    width, height = upscaled_size(image.size, factor)
    if width * height > MAX_PIXELS:
        raise TooManyPixels(
            f"{width}×{height} are more pixels than an upscaler draws; allowed: {MAX_PIXELS:,}"
        )
    for number in range(3):
        if image.width >= width and image.height >= height and (number or factor != 1):
            break
        before = image.size
        image = yield image
        if image.size == before:
            break
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return image


def upscaled_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Width and height, in pixels, of a picture of `size` that is upscaled by `factor`."""
    width, height = (max(int(side * factor // 8 * 8), 8) for side in size)
    return width, height


def _times(image: Image.Image, factor: float) -> tuple[int, int]:
    return max(int(image.width * factor), 1), max(int(image.height * factor), 1)
