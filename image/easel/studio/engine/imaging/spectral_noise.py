"""Noise that looks like a picture from afar: what "Outpainting mk2" paints new ground with.

The spectrum of what is there, white noise multiplied into it, and the colours matched to those that are there
(an idea of parlance-zz's g-diffuser-bot).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_Pixels = NDArray[np.float64]
_MASKED, _UNMASKED = 1e-6, 1e-3
_TINY = np.finfo(np.float64).tiny


def painted_over(
    image: Image.Image, mask: Image.Image, noise_q: float = 1, color_variation: float = 0.05
) -> Image.Image:
    """The picture (RGB), noise where the mask is white. It goes by the picture, not by the seed.

    `noise_q` is the exponent of the spectrum's fall-off (lower shows more detail), `color_variation` how
    colourful the noise is, 0 to 1.
    """
    pixels = np.asarray(image.convert("RGB")) / 255
    share = np.asarray(mask.convert("L"))[..., None] / 255
    noise = _shaped(pixels, share, noise_q, color_variation)
    masked, unmasked = share[..., 0] > _MASKED, share[..., 0] < _UNMASKED
    if unmasked.any():
        for channel in range(3):
            old = pixels[..., channel][unmasked]
            noise[masked, channel] = _matched(noise[masked, channel], old)
    painted = (pixels * (1 - share) + noise * share).clip(0, 1)
    return Image.fromarray((painted * 255).astype(np.uint8))


def _shaped(pixels: _Pixels, share: _Pixels, noise_q: float, color_variation: float) -> _Pixels:
    """Noise from 0 to 1 with the amplitudes and phases of what is not masked."""
    source = pixels * (1 - share)
    source = source / max(source.max(), _TINY) + pixels.mean() * share
    spectrum = _spectrum(source)
    amplitude = np.abs(spectrum)
    phase = np.zeros_like(spectrum)
    np.divide(spectrum, amplitude, out=phase, where=amplitude > 0)
    shape = np.abs(_spectrum(_noise(pixels.shape, color_variation))) ** 2
    phase *= shape * amplitude**noise_q
    shaped = _picture(phase)
    shaped -= shaped.min()
    return np.asarray(shaped / max(shaped.max(), _TINY))


def _noise(shape: tuple[int, ...], color_variation: float) -> _Pixels:
    """Nearly grey noise, its high frequencies damped."""
    noise = np.random.default_rng(0).random(shape)
    noise = noise * color_variation + noise.mean(axis=2, keepdims=True) * (1 - color_variation)
    down, across = ((np.arange(side) / side * 2 - 1) * side / min(shape[:2]) for side in shape[:2])
    damping = 1 / ((down[:, None] ** 2 + 1) * (across[None] ** 2 + 1))
    spectrum = _spectrum(noise)
    spectrum *= damping[..., None]
    return _picture(spectrum)


def _spectrum(pixels: _Pixels) -> NDArray[np.complex128]:
    """Low frequencies in the middle, no scaling by size."""
    return np.fft.ifftshift(
        np.fft.fft2(np.fft.fftshift(pixels, axes=(0, 1)), axes=(0, 1), norm="ortho"), axes=(0, 1)
    )


def _picture(spectrum: NDArray[np.complex128]) -> _Pixels:
    back = np.fft.ifft2(np.fft.fftshift(spectrum, axes=(0, 1)), axes=(0, 1), norm="ortho")
    return np.asarray(np.fft.ifftshift(back, axes=(0, 1)).real)


def _matched(values: _Pixels, reference: _Pixels) -> _Pixels:
    """The values, moved so that they are distributed as the reference's are."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    levels, wanted = np.unique(reference, return_counts=True)
    moved = np.interp(np.cumsum(counts) / values.size, np.cumsum(wanted) / reference.size, levels)
    return np.asarray(moved)[places]
