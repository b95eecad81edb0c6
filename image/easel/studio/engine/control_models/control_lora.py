"""control-LoRA (Stability AI): a ControlNet as what it differs by from the UNet of a checkpoint, in the
original code's names. Of most weights W the file has two small ones, and the ControlNet's is W + up down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

Shapes = Mapping[str, tuple[int, ...]]

MARK = "lora_controlnet"
"""A tensor without meaning that says what the file is."""
_UP, _DOWN = ".up", ".down"


def is_control_lora(shapes: Shapes) -> bool:
    """Whether these are a control-LoRA's."""
    return MARK in shapes or any(name.endswith((_UP, _DOWN)) for name in shapes)


def whole_shapes(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Those of the ControlNet that comes of it, as far as the file tells. Raises KeyError for half a pair."""
    found: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        if name.endswith(_UP):
            stem = name.removesuffix(_UP)
            found[f"{stem}.weight"] = (shape[0], *shapes[stem + _DOWN][1:])
        elif not name.endswith(_DOWN) and name != MARK:
            found[name] = shape
    return found


def summed(
    tensors: Mapping[str, torch.Tensor],
    unet: Any,
    module: Any,
    names: Callable[[dict[str, str]], dict[str, str]],
) -> dict[str, torch.Tensor]:
    """The weights of `module`, a ControlNet, from those of a file and of the checkpoint's UNet, which calls
    the same layers the same. `names` takes names of the file to the module's, as keys of a table.

    A UNet that draws within masks sees more channels than a ControlNet, the latents first.
    """
    own = unet.state_dict()
    device = next(iter(tensors.values())).device
    plain = {name: name for name in whole_shapes({one: tuple(it.shape) for one, it in tensors.items()})}
    from_file = names(plain)
    found: dict[str, torch.Tensor] = {}
    for name, wanted in module.state_dict().items():
        theirs = from_file.get(name)
        if theirs is not None and theirs in tensors:
            found[name] = tensors[theirs]
            continue
        if name not in own:
            continue
        base = own[name].detach().to(device, copy=True)
        base = base[:, : wanted.shape[1]] if base.dim() > 1 else base
        if theirs is not None:
            stem = theirs.removesuffix(".weight")
            up, down = tensors[stem + _UP], tensors[stem + _DOWN]
            base = base + (up.flatten(1) @ down.flatten(1)).reshape(base.shape)
        found[name] = base
    return found
