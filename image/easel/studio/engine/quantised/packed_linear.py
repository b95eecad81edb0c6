"""A linear layer whose weight stays packed."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.quantised.packing import Packing, expand


class PackedLinear(nn.Linear):
    """As `nn.Linear`, with a weight that is expanded for each call, to the type of what comes in.

    Its planes are parameters of bytes: whatever moves layers to a device and back (`offload`) moves them,
    and a change of type leaves them alone and changes `weight.dtype`, no more. Made on the meta device; its
    planes and its bias are filled in by name.
    """

    def __init__(self, weight: PackedWeight, *, bias: bool) -> None:
        # not nn.Linear's, which would make room for the numbers
        nn.Module.__init__(self)
        self.packing: Packing = weight.packing
        self.out_features, self.in_features = weight.shape
        # Of no numbers: it has the type that the layer was told to have. No buffer: nobody has to fill it.
        self._like = torch.empty(0, dtype=weight.dtype)
        for name, width in zip(self.packing.planes, self.packing.widths, strict=True):
            self.register_parameter(name, _bare((self.out_features, width), torch.uint8))
        self.register_parameter("bias", _bare((self.out_features,), weight.dtype) if bias else None)

    @property
    def planes(self) -> tuple[Tensor, ...]:
        """The bytes of the weight."""
        return tuple(self.get_parameter(name).data for name in self.packing.planes)

    @property
    def weight(self) -> PackedWeight:  # type: ignore[override]
        """For who looks at shape and type, or (as some LoRAs) at the numbers: then they are expanded."""
        return PackedWeight(self.packing, self.planes, self._like.dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Expand the weight, and use it once."""
        return F.linear(input, expand(self.packing, self.planes, input.dtype), self.bias)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        found = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._like = fn(self._like)
        return found


def _bare(shape: tuple[int, ...], dtype: torch.dtype) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=dtype, device="meta"), requires_grad=False)
