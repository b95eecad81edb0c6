"""Stable Diffusion 3 and 3.5: the transformer cuts its own patches; it has places for 192 or 384 a side.

`tokens` are those of both CLIPs, one beside the other and filled up with zeros, followed by T5's; `pooled` is
the two CLIPs' together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

from easel.studio.engine.transformers.empty_inputs import empty_inputs
from easel.studio.engine.transformers.lora_names import LoraPlaces, lora_places
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.published_names import CHECKPOINT_PREFIX, NameTable, to_modules

_TRAINING_STEPS = 1000
# The one tensor outside any module. It is called as one of the module of its name here.
_PLACES = "pos_embed"


def _attention(published: str, module: str) -> NameTable:
    return {
        f"{published}.qkv": tuple(f"{module}.to_{one}" for one in "qkv"),
        f"{published}.ln_q": (f"{module}.norm_q",),
        f"{published}.ln_k": (f"{module}.norm_k",),
        f"{published}.proj": (f"{module}.to_out.0",),
    }


SD3_NAMES: NameTable = {
    "x_embedder.proj": ("pos_embed.proj",),
    "t_embedder.mlp.0": ("time_text_embed.timestep_embedder.linear_1",),
    "t_embedder.mlp.2": ("time_text_embed.timestep_embedder.linear_2",),
    "y_embedder.mlp.0": ("time_text_embed.text_embedder.linear_1",),
    "y_embedder.mlp.2": ("time_text_embed.text_embedder.linear_2",),
    **_attention("joint_blocks.#.x_block.attn", "transformer_blocks.#.attn"),
    **_attention("joint_blocks.#.x_block.attn2", "transformer_blocks.#.attn2"),
    "joint_blocks.#.x_block.adaLN_modulation.1": ("transformer_blocks.#.norm1.linear",),
    "joint_blocks.#.x_block.mlp.fc1": ("transformer_blocks.#.ff.net.0.proj",),
    "joint_blocks.#.x_block.mlp.fc2": ("transformer_blocks.#.ff.net.2",),
    "joint_blocks.#.context_block.attn.qkv": tuple(f"transformer_blocks.#.attn.add_{n}_proj" for n in "qkv"),
    "joint_blocks.#.context_block.attn.ln_q": ("transformer_blocks.#.attn.norm_added_q",),
    "joint_blocks.#.context_block.attn.ln_k": ("transformer_blocks.#.attn.norm_added_k",),
    "joint_blocks.#.context_block.attn.proj": ("transformer_blocks.#.attn.to_add_out",),
    "joint_blocks.#.context_block.adaLN_modulation.1": ("transformer_blocks.#.norm1_context.linear",),
    "joint_blocks.#.context_block.mlp.fc1": ("transformer_blocks.#.ff_context.net.0.proj",),
    "joint_blocks.#.context_block.mlp.fc2": ("transformer_blocks.#.ff_context.net.2",),
    "final_layer.linear": ("proj_out",),
    "final_layer.adaLN_modulation.1": ("norm_out.linear",),
}


class SD3Model:
    """SD3 medium, SD3.5 medium and large."""

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """See `TransformerModel`."""
        with torch.device("meta"):
            return SD3Transformer2DModel.from_config(dict(config))

    def empty_inputs(self, network: Any, height: int, width: int, tokens: int) -> TransformerInputs:
        """A call of one row of latents of this size, without numbers."""
        return empty_inputs(network, network.config.in_channels, height, width, tokens)

    def convert(self, tensors: Mapping[str, torch.Tensor], network: Any) -> dict[str, torch.Tensor]:
        """See `TransformerModel`."""
        plain = {name.removeprefix(CHECKPOINT_PREFIX): tensor for name, tensor in tensors.items()}
        if _PLACES in plain:
            plain[f"{_PLACES}.{_PLACES}"] = plain.pop(_PLACES)
        return to_modules(plain, network, SD3_NAMES, _swapped(network))

    def lora_places(self, network: Any) -> LoraPlaces:
        """The modules that each layer of a LoRA is for."""
        return lora_places(network, SD3_NAMES, _swapped(network))

    def velocity(self, network: Any, inputs: TransformerInputs) -> torch.Tensor:
        """See `TransformerModel`."""
        answer: torch.Tensor = network(
            hidden_states=inputs.latents,
            timestep=inputs.shares * _TRAINING_STEPS,
            encoder_hidden_states=inputs.tokens,
            pooled_projections=inputs.pooled,
            return_dict=False,
        )[0]
        return answer


def _swapped(network: Any) -> tuple[str, str]:
    # The last block has no use for the text behind it, and so only scales and shifts it once.
    last = len(network.transformer_blocks) - 1
    return "norm_out.linear", f"transformer_blocks.{last}.norm1_context.linear"
