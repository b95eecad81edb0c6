"""One call of a transformer for many pictures: each text of each a row, with its own share of noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from easel.studio.engine.calls.device_calls import BackboneCall
from easel.studio.engine.calls.run import Run, as_written
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.table import transformer_of

_TIMESTEPS = 1000


def call_transformer(
    checkpoint: Checkpoint, calls: Sequence[BackboneCall], run: Run = as_written
) -> list[torch.Tensor]:
    """For those of one kind. Returns the velocities for each, (rows, channels, height, width), float32."""
    dtype, device = checkpoint.dtype, calls[0].latents.device
    timesteps = torch.stack([one.timestep for one in calls for _ in range(one.rows)]).to(device)
    masks = [one.guidance.mask for one in calls if one.guidance.mask is not None]
    pooled = [one.guidance.pooled for one in calls if one.guidance.pooled is not None]
    told = [one.added["guidance"] for one in calls if "guidance" in one.added]
    extra = [one.extra.expand(one.rows, -1, -1, -1) for one in calls if one.extra is not None]
    inputs = TransformerInputs(
        latents=torch.cat([one.latents.expand(one.rows, -1, -1, -1) for one in calls]).to(dtype),
        shares=timesteps / _TIMESTEPS,
        tokens=torch.cat([one.tokens for one in calls]).to(dtype),
        mask=torch.cat(masks) if masks else None,
        pooled=torch.cat(pooled).to(dtype) if pooled else None,
        guidance=torch.cat(told) if told else None,
        extra=torch.cat(extra).to(dtype) if extra else None,
        references=tuple(one.to(dtype) for one in calls[0].shown),
    )
    model = transformer_of(checkpoint.family.architecture)

    def velocity(**given: Any) -> torch.Tensor:
        return model.velocity(checkpoint.backbone, TransformerInputs(**given))

    found: torch.Tensor = run(velocity, **vars(inputs))
    return list(torch.split(found.float(), [one.rows for one in calls]))
