"""Modules with packed weights: their layers, their tensors, and what they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from easel.studio.engine.quantised.packed_linear import PackedLinear
from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.quantised.packing import expanding_bytes


def keep_packed(module: Any, tensors: Mapping[str, Tensor]) -> None:
    """Replace each linear layer of a module without weights, the weight of which is packed among `tensors`.

    They are named as the module's own and may be on the meta device: a module is made ready before its memory
    is planned. Layers of other classes, which may use their weight in ways of their own, stay.
    """
    for name, layer in list(module.named_modules()):
        weight = tensors.get(name + ".weight")
        if type(layer) is nn.Linear and isinstance(weight, PackedWeight):
            above, _, last = name.rpartition(".")
            setattr(module.get_submodule(above), last, PackedLinear(weight, bias=layer.bias is not None))


def laid_open(module: Any, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, those expanded that are packed and not kept so by a layer of the module: norms,
    biases, embeddings."""
    found = dict(tensors)
    expanded: dict[int, Tensor] = {}  # one tensor may have two names, as tied embeddings do
    kept = {f"{name}.weight" for name, one in module.named_modules() if isinstance(one, PackedLinear)}
    for name, tensor in tensors.items():
        if isinstance(tensor, PackedWeight) and name not in kept:
            if id(tensor) not in expanded:
                expanded[id(tensor)] = tensor.expanded()
            found[name] = expanded[id(tensor)]
    return found


def stored_bytes(parameter: Tensor, dtype: torch.dtype) -> int:
    """Bytes of a parameter: as many as it has where it is part of a packed weight, else those of its numbers
    in `dtype`."""
    return parameter.numel() * (1 if parameter.dtype == torch.uint8 else dtype.itemsize)


def layer_bytes(module: nn.Module, dtype: torch.dtype) -> int:
    """Bytes of the largest layer's parameters, counted as in `stored_bytes`."""
    layers = (layer for layer in module.modules() if next(layer.children(), None) is None)
    return max((sum(stored_bytes(one, dtype) for one in layer.parameters()) for layer in layers), default=0)


def largest_expanding(module: nn.Module, dtype: torch.dtype, device: torch.device) -> int:
    """Bytes on the device for the moment that the largest packed layer is expanded in; 0 without any."""
    layers = (layer for layer in module.modules() if isinstance(layer, PackedLinear))
    return max(
        (expanding_bytes(layer.out_features, layer.in_features, dtype, device) for layer in layers), default=0
    )
