"""Weights that wait in main memory and come to the device for the moment of their use, layer by layer.

A layer stays until the next one comes, so that whatever looks at its weights right behind its call (a LoRA
does) finds them there, and at no time there is more on the device than the largest. Nothing is copied back:
weights do not change, and those in main memory have been there all the time.

accelerate's hooks take a layer's weights away right behind its call, before a LoRA has looked at them, and
diffusers' group offloading either copies back what it brought or needs the layers to be called in the same
order each time, which a VAE that goes layer by layer and tile by tile does not (docs/decisions/0047).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from easel.studio.engine.memory.device_memory import DeviceMemory


class Offload:
    """The layers of one checkpoint that wait. Used from the engine's thread only."""

    def __init__(self, memory: DeviceMemory) -> None:
        self._memory = memory
        self._here: nn.Module | None = None
        self._waiting: dict[str, torch.Tensor] = {}

    def add(self, module: nn.Module) -> None:
        """From now on its layers wait: the module is in main memory, and can be called as if it were on the
        device. What is no layer's own, as the numbers of positions, goes there for good."""
        with torch.inference_mode(False):
            for part in module.modules():
                leaf = next(part.children(), None) is None
                for parameter in part.parameters(recurse=False):
                    keep = self._memory.waiting if leaf else self._memory.brought
                    parameter.data = keep(parameter.data)
                for name, buffer in list(part.named_buffers(recurse=False)):
                    setattr(part, name, self._memory.brought(buffer))
                if leaf and next(part.parameters(recurse=False), None) is not None:
                    part.register_forward_pre_hook(self._bring)

    def _bring(self, layer: nn.Module, _: Any) -> None:
        if layer is self._here:
            return
        self._send_back()
        with torch.inference_mode(False):
            for name, parameter in layer.named_parameters(recurse=False):
                self._waiting[name] = parameter.data
                parameter.data = self._memory.brought(parameter.data)
        self._here = layer

    def _send_back(self) -> None:
        if self._here is None:
            return
        for name, parameter in self._here.named_parameters(recurse=False):
            # a VAE that overflows in half precision goes on in single, the layer that is here with it
            parameter.data = self._waiting.pop(name).to(parameter.dtype)
        self._here = None
