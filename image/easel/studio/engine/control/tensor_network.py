"""Networks that are run from the tensors of their published files, by their names there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

_PROBE = 64
_NOT_RUN = "num_batches_tracked"


class TensorNetwork:
    """What layers are called is all that such a file tells of its network, and here all that is needed: no
    modules are made. A subclass has `forward`; `load_state_dict` runs it once, so that a file of something
    else is found out when it is loaded. Stays where its tensors are: on the processor.

    `LEFT_OVER` are beginnings of names that are in the file and not needed.
    """

    LEFT_OVER: tuple[str, ...] = ()

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = {name: one for name, one in tensors.items() if not name.endswith(_NOT_RUN)}
        self._used: set[str] = set()

    def forward(self, pixels: Tensor) -> Tensor:
        """What the network gives of (1, 3, height, width), 0 to 1, sides multiples of 64."""
        raise NotImplementedError

    def probe(self, pixels: Tensor) -> None:
        """Use every tensor once: `forward`, where that is no more work than it must be."""
        self.forward(pixels)

    def __call__(self, pixels: Tensor) -> Tensor:
        """See `forward`."""
        return self.forward(pixels)

    @torch.inference_mode()
    def load_state_dict(self, tensors: Mapping[str, Any]) -> None:
        """Raise KeyError, ValueError or RuntimeError where these are not the tensors of such a network."""
        self.probe(torch.zeros(1, 3, _PROBE, _PROBE))
        left = {one for one in self._tensors.keys() - self._used if not one.startswith(self.LEFT_OVER)}
        if left:
            raise ValueError(f"{min(left)} is not known")

    def parameters(self) -> Iterator[Tensor]:
        """All that it holds."""
        return iter(self._tensors.values())

    def to(self, device: torch.device) -> Self:
        """Itself."""
        return self

    def eval(self) -> Self:
        """Itself."""
        return self

    def has(self, name: str) -> bool:
        """Whether there is such a tensor."""
        return name in self._tensors

    def tensor(self, name: str) -> Tensor:
        """The tensor of this name. Raises KeyError."""
        self._used.add(name)
        return self._tensors[name]

    def conv(
        self, name: str, hidden: Tensor, stride: int = 1, padding: int | None = None, dilation: int = 1
    ) -> Tensor:
        """Through a convolution, in one dimension or two; by itself what comes of it is as large. How many
        groups it has follows from its width."""
        weight = self.tensor(f"{name}.weight")
        bias = self.tensor(f"{name}.bias") if self.has(f"{name}.bias") else None
        padding = weight.shape[-1] // 2 * dilation if padding is None else padding
        run = F.conv1d if weight.dim() == 3 else F.conv2d
        return run(hidden, weight, bias, stride, padding, dilation, hidden.shape[1] // weight.shape[1])

    def wider(self, name: str, hidden: Tensor, padding: int) -> Tensor:
        """Through a transposed convolution that makes it twice as wide and high."""
        weight = self.tensor(f"{name}.weight")
        bias = self.tensor(f"{name}.bias") if self.has(f"{name}.bias") else None
        return F.conv_transpose2d(hidden, weight, bias, 2, padding)

    def linear(self, name: str, hidden: Tensor) -> Tensor:
        """Through a linear layer."""
        return F.linear(hidden, self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"))

    def norm(self, name: str, hidden: Tensor, eps: float = 1e-5) -> Tensor:
        """Through a batch norm, with what it learned."""
        mean, variance, weight, bias = (
            self.tensor(f"{name}.{one}") for one in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(hidden, mean, variance, weight, bias, eps=eps)


def same_border(hidden: Tensor, side: int, stride: int, value: float = 0.0) -> Tensor:
    """With TensorFlow's border for a kernel of this side: an odd one is right and below."""
    down, across = (max(0, (-(-one // stride) - 1) * stride + side - one) for one in hidden.shape[-2:])
    return F.pad(hidden, (across // 2, across - across // 2, down // 2, down - down // 2), value=value)


def twice(hidden: Tensor) -> Tensor:
    """Twice as wide and high, the corners staying where they are."""
    return F.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=True)
