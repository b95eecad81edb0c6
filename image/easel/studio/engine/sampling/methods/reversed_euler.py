"""Euler's method from a picture up to noise: the noise that leads to the picture again (DDIM's inversion,
Song et al., arXiv 2010.02502, section 4.3, for latents `x0 + sigma·noise`)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from easel.studio.engine.sampling.ask import Ask, Sampling


def reversed_euler(x: Tensor, sigmas: Sequence[float], *, adjusted: bool) -> Sampling:
    """Unit noise, by rising `sigmas` of which the first is zero.

    What leads from one sigma to the next above is asked for at the upper one, which is where the way down
    begins; `adjusted` asks at the lower one, where the latents are, and leaves out the step from zero.
    A1111's two ways in its "img2img alternative test".
    """
    for lower, upper in pairwise(sigmas):
        at = lower if adjusted else upper
        if at > 0:
            denoised = (yield Ask(x, at)).guided
            x = x + (x - denoised) / at * (upper - lower)
    return x / sigmas[-1] if adjusted else x / x.std()
