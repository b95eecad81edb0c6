"""What no file holds: numbers of positions, frequencies of rotary positions, and tensors that are one."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def restore_buffers(module: nn.Module, device: torch.device) -> None:
    """Make the buffers of a text encoder that was built on the meta device, and tie what is tied.

    After its weights were put in with `assign=True`, and before the first call. Raises RuntimeError for a
    buffer that nobody can make.
    """
    for name, owner in list(module.named_modules()):
        for own, buffer in list(owner.named_buffers(recurse=False)):
            if buffer.is_meta:
                _restore(name, owner, own, device)
    _tie(module)


def _restore(name: str, owner: Any, own: str, device: torch.device) -> None:
    shape = getattr(owner, own).shape
    if own == "position_ids":
        owner.position_ids = torch.arange(shape[-1], device=device).expand((1, -1))
    elif own.endswith("inv_freq"):
        # by its own rule, on the processor, as published pipelines make them: the same bits
        with torch.device("cpu"):
            made = type(owner)(owner.config)
        owner.register_buffer(own, getattr(made, own).to(device), persistent=False)
    else:
        raise RuntimeError(f"{name}.{own} has no value")


def _tie(module: Any) -> None:
    """T5's vectors of words stand in it twice; as one parameter they are moved, and counted, once."""
    shared = getattr(module, "shared", None)
    if isinstance(shared, nn.Embedding):
        module.encoder.embed_tokens.weight = shared.weight
