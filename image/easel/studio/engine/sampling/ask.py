"""What passes between a method and whoever denoises for it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor


class Ask(NamedTuple):
    """What a method wants denoised: latents (1, channels, height/8, width/8), float32, and their level.

    For samplers of k-diffusion's kind the latents are `x0 + sigma·noise` and the level is sigma. For those
    that walk timesteps (DDIM, PLMS, UniPC) they are `a·x0 + s·noise` with `a² + s² = 1`, and the level is the
    timestep.
    """

    latents: Tensor
    level: float


class Answer(NamedTuple):
    """What it is sent: guided, and by the negative prompt alone, which CFG++ wants.

    The denoised latents for samplers of k-diffusion's kind, the predicted noise for those that walk
    timesteps.
    """

    guided: Tensor
    unguided: Tensor


Sampling: TypeAlias = "Generator[Ask, Answer, Tensor]"
"""A method at work. It returns the finished latents."""

Noise: TypeAlias = "Callable[[], Tensor]"
"""The picture's next unit noise, in the latents' shape and on their device."""

BrownianNoise: TypeAlias = "Callable[[float, float], Tensor]"
"""Unit noise for the step from one sigma to another: the increment of one Brownian motion, scaled."""
