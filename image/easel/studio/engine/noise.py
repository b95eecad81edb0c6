"""Seeded noise, drawn on the CPU: a seed is the same picture on every device (`RNG: CPU` in infotext)."""

from __future__ import annotations

import torch


def generator(seed: int) -> torch.Generator:
    """The source of a picture's noise, first the latents, then what stochastic samplers add."""
    return torch.Generator("cpu").manual_seed(seed)


def initial_noise(
    source: torch.Generator, shape: tuple[int, int, int], subseed: int, subseed_strength: float
) -> torch.Tensor:
    """Unit noise (1, channels, height/8, width/8), float32, by `subseed_strength` towards a second seed's."""
    noise = torch.randn((1, *shape), generator=source)
    if subseed_strength == 0:
        return noise
    other = torch.randn((1, *shape), generator=generator(subseed))
    return slerp(subseed_strength, noise, other)


def slerp(fraction: float, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Spherical interpolation: a straight line between two noises would pass through quieter, blander ones.

    Shoemake, "Animating rotation with quaternion curves" (1985), on flattened vectors.
    """
    a, b = low.flatten(), high.flatten()
    cosine = torch.dot(a / a.norm(), b / b.norm()).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if float(angle.abs()) < 1e-4:
        return low + (high - low) * fraction
    sine = torch.sin(angle)
    return torch.sin((1 - fraction) * angle) / sine * low + torch.sin(fraction * angle) / sine * high
