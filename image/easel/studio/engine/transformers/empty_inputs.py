"""A call without numbers, for counting what one takes (`activations.counted`)."""

from __future__ import annotations

from typing import Any

import torch

from easel.studio.engine.transformers.model import TransformerInputs


def empty_inputs(
    network: Any, channels: int, height: int, width: int, tokens: int, *, extra: int = 0, masked: bool = False
) -> TransformerInputs:
    """One row of latents of this size and a text of so many tokens, in the network's type and on its device,
    which may be "meta". For networks whose configuration has `joint_attention_dim`."""
    weight: torch.Tensor = next(network.parameters())
    config = network.config

    def empty(*shape: int) -> torch.Tensor:
        return weight.new_empty((1, *shape))

    one = torch.empty(1, device=weight.device)
    pooled = getattr(config, "pooled_projection_dim", None)
    return TransformerInputs(
        latents=empty(channels, height, width),
        shares=one,
        tokens=empty(tokens, config.joint_attention_dim),
        mask=torch.empty((1, tokens), dtype=torch.bool, device=weight.device) if masked else None,
        pooled=None if pooled is None else empty(pooled),
        guidance=one,
        extra=empty(extra, height, width) if extra else None,
    )
