"""A linear layer whose weight stays packed."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.quantised.packing import Packing, expand, plane_shapes


class PackedLinear(nn.Linear):
    """As `nn.Linear`, with a weight that is expanded for each call, to the type of what comes in.

    Its planes are parameters of bytes: whatever moves layers to a device and back (`offload`) moves them,
    and a change of type leaves them alone and changes `weight.dtype`, no more. Made on the meta device.
    """

    def __init__(self, weight: PackedWeight, *, bias: bool) -> None:
        # not nn.Linear's, which would make room for the numbers
        nn.Module.__init__(self)
        self.packing: Packing = weight.packing
        self.out_features, self.in_features = weight.shape
        # Of no numbers: it has the type that the layer was told to have. No buffer: nobody has to fill it.
        self._like = torch.empty(0, dtype=weight.dtype)
        for name, shape in plane_shapes(self.packing, self.out_features).items():
            self.register_parameter(name, _bare(shape, torch.uint8))
        self.register_parameter("bias", _bare((self.out_features,), weight.dtype) if bias else None)

    @property
    def planes(self) -> tuple[Tensor, ...]:
        """The bytes of the weight."""
        return tuple(self.get_parameter(name).data for name in self._names)

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self.packing.planes, *self.packing.shared)

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

    # Its state is that of any linear layer, a weight and a bias: converters look
    # at the shapes of a module's state to cut what is fused in a file.
    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[prefix + "weight"] = self.weight
        if self.bias is not None:
            destination[prefix + "bias"] = self.bias if keep_vars else self.bias.detach()

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, _metadata: Any, _strict: Any, missing_keys: list[str],
        _unexpected: Any, error_msgs: list[str],
    ) -> None:  # fmt: skip
        weight, bias = state_dict.get(prefix + "weight"), state_dict.get(prefix + "bias")
        if not isinstance(weight, PackedWeight) or weight.packing != self.packing:
            error_msgs.append(f"{prefix}weight is not packed as {self.packing}")
            return
        for name, plane in zip(self._names, weight.planes, strict=True):
            setattr(self, name, nn.Parameter(plane, requires_grad=False))
        self._like = torch.empty(0, dtype=weight.dtype)
        if self.bias is not None and bias is not None:
            self.bias = nn.Parameter(bias, requires_grad=False)
        elif self.bias is not None:
            missing_keys.append(prefix + "bias")


def _bare(shape: tuple[int, ...], dtype: torch.dtype) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=dtype, device="meta"), requires_grad=False)
