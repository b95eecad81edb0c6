"""Where normal numbers come from: A1111's `randn_source`.

- `CPU`: torch's generator on the CPU; a seed is the same picture on every device.
- `GPU`: torch's generator on the device that draws. Where there is no GPU that is the CPU, as in A1111.
- `NV`: an NVIDIA card's numbers, made on the CPU; A1111's `GPU` for those who drew on such a card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from easel.studio.engine.noise.philox import Philox


class NormalSource(Protocol):
    """A seeded source; each call goes on where the last one ended."""

    def draw(self, shape: Sequence[int]) -> torch.Tensor:
        """Normal numbers, float32, on whatever device they are made."""
        ...


class _TorchNormals:
    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self._generator = torch.Generator(device).manual_seed(seed)

    def draw(self, shape: Sequence[int]) -> torch.Tensor:
        return torch.randn(tuple(shape), generator=self._generator, device=self._device)


class _CardNormals:
    def __init__(self, seed: int) -> None:
        self._philox = Philox(seed)

    def draw(self, shape: Sequence[int]) -> torch.Tensor:
        return torch.from_numpy(self._philox.draw(shape))


def normal_source(randn_source: str, seed: int, device: torch.device) -> NormalSource:
    """The source that A1111 calls `randn_source` (CPU, GPU or NV), seeded."""
    if randn_source == "NV":
        return _CardNormals(seed)
    return _TorchNormals(seed, device if randn_source == "GPU" else torch.device("cpu"))
