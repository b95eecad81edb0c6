"""The noise of SDE samplers: one Brownian motion over all sigmas, so that any steps see the same path.

k-diffusion's BrownianTreeNoiseSampler with the seed A1111 gives it: the picture's own. torchsde's tree is
made on the CPU whatever the device, so that a seed is the same picture everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import sqrt

import torch
import torchsde
from torch import Tensor
from torchsde._brownian import brownian_interval

_DIGITS = 6

UnitNoise = Callable[[int, tuple[int, ...]], Tensor]
"""The first unit noise of a seed in a shape, on the CPU: what A1111's `randn_source` changes."""


class BrownianTree:
    """Unit noise between two sigmas of a picture. `lowest` and `highest` are those of its whole schedule."""

    def __init__(
        self, like: Tensor, lowest: float, highest: float, seed: int, unit_noise: UnitNoise | None = None
    ) -> None:
        self._device, self._shape = like.device, like.shape
        self._unit_noise = unit_noise
        self._lowest, self._highest = round(lowest, _DIGITS), round(highest, _DIGITS)
        start = torch.zeros(like.shape, dtype=torch.float32)
        with _drawing(unit_noise):
            self._tree = torchsde.BrownianTree(lowest, start, highest, entropy=seed)

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """The motion's increment from `sigma` down to `sigma_next`, as noise of unit variance; nothing where
        they are as good as the same, as at the end of steep schedules."""
        upper, lower = self._within(sigma), self._within(sigma_next)
        if upper <= lower or sigma <= sigma_next:
            return torch.zeros(self._shape, device=self._device)
        with _drawing(self._unit_noise):
            increment: Tensor = self._tree(lower, upper)
        return (-increment / sqrt(sigma - sigma_next)).to(self._device)

    def _within(self, sigma: float) -> float:
        """As the tree rounds and bounds it; told more, it warns of sigmas a hair outside."""
        return min(max(round(sigma, _DIGITS), self._lowest), self._highest)


@contextmanager
def _drawing(unit_noise: UnitNoise | None) -> Iterator[None]:
    """torchsde draws its numbers by a function of its module; A1111 replaces that one, too."""
    if unit_noise is None:
        yield
        return
    original = brownian_interval._randn

    def drawn(size: tuple[int, ...], dtype: torch.dtype, device: torch.device, seed: int) -> Tensor:
        return unit_noise(int(seed), tuple(size)).to(device=device, dtype=dtype)

    brownian_interval._randn = drawn
    try:
        yield
    finally:
        brownian_interval._randn = original
