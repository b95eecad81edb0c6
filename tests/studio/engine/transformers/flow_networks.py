"""Small transformers of each family with random weights, and what they are called with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler

from easel.studio.engine.transformers.chroma import ChromaModel
from easel.studio.engine.transformers.flux import FluxModel
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.sd3 import SD3Model
from easel.studio.families import HERE

CHANNELS = 4
"""Latent channels of the small ones."""
WIDTH = 32
"""Numbers in a token of text, and in a pooled one."""
_FLUX = {
    "in_channels": 4 * CHANNELS,
    "num_layers": 2,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDTH,
    "pooled_projection_dim": WIDTH,
    "axes_dims_rope": (4, 4, 8),
    "guidance_embeds": True,
}
_CHROMA = {
    **{
        name: value
        for name, value in _FLUX.items()
        if name not in ("pooled_projection_dim", "guidance_embeds")
    },
    "approximator_num_channels": 8,
    "approximator_hidden_dim": 16,
    "approximator_layers": 2,
}
_SD3 = {
    "sample_size": 32,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "num_layers": 3,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDTH,
    "caption_projection_dim": 32,
    "pooled_projection_dim": WIDTH,
    "pos_embed_max_size": 24,
}
FILL_EXTRA = CHANNELS + 64


@dataclass(frozen=True)
class TinyFamily:
    """The engine's way with a family, and a small configuration of it."""

    model: SD3Model | FluxModel | ChromaModel
    config: Mapping[str, Any]

    def network(self, seed: int = 0) -> Any:
        """With random weights, in single precision."""
        network = self.model.skeleton(self.config).to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        for name, tensor in network.state_dict().items():
            about = 1.0 if "norm" in name and tensor.dim() == 1 and name.endswith("weight") else 0.0
            tensor.copy_(about + 0.15 * torch.randn(tensor.shape, generator=generator))
        return network.eval().requires_grad_(False)


TINY: Mapping[str, TinyFamily] = {
    "sd3": TinyFamily(SD3Model(), _SD3),
    "sd35-medium": TinyFamily(SD3Model(), _SD3 | {"dual_attention_layers": [0, 1], "qk_norm": "rms_norm"}),
    "sd35-large": TinyFamily(SD3Model(), _SD3 | {"qk_norm": "rms_norm"}),
    "flux-dev": TinyFamily(FluxModel(), _FLUX),
    "flux-schnell": TinyFamily(FluxModel(), _FLUX | {"guidance_embeds": False}),
    "flux-fill": TinyFamily(
        FluxModel(), _FLUX | {"in_channels": 4 * (CHANNELS + FILL_EXTRA), "out_channels": 4 * CHANNELS}
    ),
    "flux-kontext": TinyFamily(FluxModel(), _FLUX),
    "chroma": TinyFamily(ChromaModel(), _CHROMA),
}


def published_config(name: str, file: str = "transformer/config.json") -> dict[str, Any]:
    """A family's configuration as it was published."""
    found: dict[str, Any] = json.loads((HERE / name / file).read_text())
    return found


def published_skeleton(name: str) -> Any:
    """A family's transformer at full size, without memory."""
    return TINY[name].model.skeleton(published_config(name))


def scheduler(name: str) -> Any:
    """The family's own, for the oracle."""
    return FlowMatchEulerDiscreteScheduler.from_config(
        published_config(name, "scheduler/scheduler_config.json")
    )


def vae() -> Any:
    """A small VAE that makes each side eight times smaller."""
    torch.manual_seed(5)
    return AutoencoderKL(
        latent_channels=CHANNELS,
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=2,
        scaling_factor=1.5,
        shift_factor=0.25,
    ).eval()


def inputs(
    name: str, rows: int = 2, height: int = 8, width: int = 12, tokens: int = 7, device: str = "cpu"
) -> TransformerInputs:
    """Of random numbers, each row with its own share of noise, guidance and length of text."""
    generator = torch.Generator().manual_seed(11)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(device)

    lengths = torch.arange(rows, device=device) % tokens + 2
    chroma, fill = name == "chroma", name == "flux-fill"
    return TransformerInputs(
        latents=random(rows, CHANNELS, height, width),
        shares=torch.linspace(0.93, 0.21, rows, device=device),
        tokens=random(rows, tokens, WIDTH),
        mask=torch.arange(tokens, device=device)[None] < lengths[:, None] if chroma else None,
        pooled=None if chroma else random(rows, WIDTH),
        guidance=torch.linspace(1.5, 4.5, rows, device=device) if name.startswith("flux") else None,
        extra=random(rows, FILL_EXTRA, height, width) if fill else None,
        references=(random(1, CHANNELS, 6, 10), random(1, CHANNELS, 4, 4)) if name == "flux-kontext" else (),
    )


def row(batch: TransformerInputs, index: int) -> TransformerInputs:
    """One row of a call, as a call of its own."""

    def one(tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else tensor[index : index + 1]

    return TransformerInputs(
        latents=batch.latents[index : index + 1],
        shares=batch.shares[index : index + 1],
        tokens=batch.tokens[index : index + 1],
        mask=one(batch.mask),
        pooled=one(batch.pooled),
        guidance=one(batch.guidance),
        extra=one(batch.extra),
        references=batch.references,
    )
