"""The layers that a network may change, and their operation with other weights than their own."""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from diffusers.models.normalization import RMSNorm
from torch import Tensor, nn

_WITH_MATRIX = nn.Linear | nn.Conv2d
_NORMS = nn.LayerNorm | nn.GroupNorm | nn.RMSNorm | RMSNorm


class Change(Protocol):
    """What a network does to one layer.

    `scale` times what `added` gives, times the weight that was asked for, is added to the layer's output.
    """

    @property
    def scale(self) -> float:
        """What the file itself weighs it with (alpha/rank)."""
        ...

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """What is added to `output`, the layer's own answer to `seen`."""
        ...


class Difference(Change, Protocol):
    """A change that looks at the input alone, so one that a matrix ΔW can be written down for."""

    def matrix(self, layer: Any) -> Tensor:
        """ΔW without `scale`, of the shape of the layer's weight."""
        ...


def layers_of(module: nn.Module) -> dict[str, str]:
    """Names of the layers that a network may change by the same names with "_" for "."."""
    found: dict[str, str] = {}
    for name, one in module.named_modules():
        if isinstance(one, _WITH_MATRIX) or (isinstance(one, _NORMS) and one.weight is not None):
            flat_name = name.replace(".", "_")
            found[flat_name] = name
            # Transformers 5.6 flattened CLIPTextModel; files were written before that.
            found.setdefault("text_model_" + flat_name, name)
    return found


def run(layer: Any, seen: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The layer's operation with this weight and bias; a convolution with its own stride and padding."""
    if isinstance(layer, nn.Linear):
        return F.linear(seen, weight, bias)
    if isinstance(layer, nn.Conv2d):
        # pads as the layer does by now: around the edges where a picture is to be tiled
        found: Tensor = layer._conv_forward(seen, weight, bias)
        return found
    if isinstance(layer, nn.GroupNorm):
        return F.group_norm(seen, layer.num_groups, weight, bias, layer.eps)
    if isinstance(layer, nn.RMSNorm | RMSNorm):
        return F.rms_norm(seen, weight.shape, weight, layer.eps)
    assert isinstance(layer, nn.LayerNorm)  # noqa: S101 - networks find no others
    return F.layer_norm(seen, layer.normalized_shape, weight, bias, layer.eps)


def by_channel(layer: Any, vector: Tensor) -> Tensor:
    """A number for each channel, to be multiplied with the layer's input or output."""
    return vector[:, None, None] if isinstance(layer, nn.Conv2d | nn.GroupNorm) else vector


def channels_last(layer: Any, values: Tensor) -> Tensor:
    """A view with the channels as the last dimension; the same call turns it back."""
    return values.transpose(1, -1) if isinstance(layer, nn.Conv2d) else values


def without_bias(layer: Any, output: Tensor) -> Tensor:
    """W x, of the output W x + b."""
    return output if layer.bias is None else output - by_channel(layer, layer.bias)


def pointwise(layer: Any, seen: Tensor, matrix: Tensor) -> Tensor:
    """A matrix over the channels: a linear layer, or a convolution that looks at single pixels."""
    return (
        F.conv2d(seen, matrix[:, :, None, None]) if isinstance(layer, nn.Conv2d) else F.linear(seen, matrix)
    )


def parted(values: Tensor, *sizes: int) -> Tensor:
    """The last dimension as several, of these sizes."""
    return values.reshape(*values.shape[:-1], *sizes)


def flat(tensor: Tensor) -> Tensor:
    """A matrix: one that was written for convolutions has dimensions of 1 behind."""
    return tensor.flatten(1) if tensor.dim() > 1 else tensor


def wide(layer: Any) -> int:
    """Channels of the input."""
    found: int = layer.weight.shape[1] if layer.weight.dim() > 1 else layer.weight.shape[0]
    return found


def tall(layer: Any) -> int:
    """Channels of the output."""
    found: int = layer.weight.shape[0]
    return found


def weight_in_float(layer: Any) -> Tensor:
    """The checkpoint's own weight, to compute norms of."""
    found: Tensor = layer.weight.detach().float()
    return found


def tucker(core: Tensor, out: Tensor, into: Tensor) -> Tensor:
    """W[o, i, …] = Σ core[p, q, …] · out[p, o] · into[q, i] (Tucker's; LyCORIS says CP)."""
    return torch.einsum("pq...,po,qi->oi...", core, out, into)
