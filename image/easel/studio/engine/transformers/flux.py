"""Flux.1 (dev, schnell, Fill, Kontext): a transformer over patches, which all but schnell tell the guidance.

Fill takes 80 more channels beside the latents (`TransformerInputs.extra`): the 16 of the picture with the
part to be filled in grey (0 in -1..1), scaled as the latents are, then the mask of 64 (`patches.folded`, 1
where it is to be filled). Kontext looks at `references`: their tokens follow those of the picture, numbered 1
in the place of the picture's 0 (arXiv 2506.15742, section 3), and what it answers for them is dropped. It was
published with one picture, and never saw a number above 1: several lie beside and below each other as one
picture would (`patches.laid_out`), as ComfyUI lays them by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

from easel.studio.engine.transformers.empty_inputs import empty_inputs
from easel.studio.engine.transformers.lora_names import LoraPlaces, lora_places
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.patches import SIDE, laid_out, packed, positions, unpacked
from easel.studio.engine.transformers.published_names import NameTable, to_modules

ATTENTION_NAMES: NameTable = {
    "txt_in": ("context_embedder",),
    "img_in": ("x_embedder",),
    "double_blocks.#.img_attn.qkv": tuple(f"transformer_blocks.#.attn.to_{one}" for one in "qkv"),
    "double_blocks.#.txt_attn.qkv": tuple(f"transformer_blocks.#.attn.add_{one}_proj" for one in "qkv"),
    "double_blocks.#.img_attn.norm.query_norm": ("transformer_blocks.#.attn.norm_q",),
    "double_blocks.#.img_attn.norm.key_norm": ("transformer_blocks.#.attn.norm_k",),
    "double_blocks.#.txt_attn.norm.query_norm": ("transformer_blocks.#.attn.norm_added_q",),
    "double_blocks.#.txt_attn.norm.key_norm": ("transformer_blocks.#.attn.norm_added_k",),
    "double_blocks.#.img_attn.proj": ("transformer_blocks.#.attn.to_out.0",),
    "double_blocks.#.txt_attn.proj": ("transformer_blocks.#.attn.to_add_out",),
    "single_blocks.#.norm.query_norm": ("single_transformer_blocks.#.attn.norm_q",),
    "single_blocks.#.norm.key_norm": ("single_transformer_blocks.#.attn.norm_k",),
    "final_layer.linear": ("proj_out",),
}
"""What Flux.1, Chroma and Flux.2 share."""

BLOCK_NAMES: NameTable = {
    **ATTENTION_NAMES,
    "double_blocks.#.img_mlp.0": ("transformer_blocks.#.ff.net.0.proj",),
    "double_blocks.#.img_mlp.2": ("transformer_blocks.#.ff.net.2",),
    "double_blocks.#.txt_mlp.0": ("transformer_blocks.#.ff_context.net.0.proj",),
    "double_blocks.#.txt_mlp.2": ("transformer_blocks.#.ff_context.net.2",),
    "single_blocks.#.linear1": (
        *(f"single_transformer_blocks.#.attn.to_{one}" for one in "qkv"),
        "single_transformer_blocks.#.proj_mlp",
    ),
    "single_blocks.#.linear2": ("single_transformer_blocks.#.proj_out",),
}
"""What Flux and Chroma share."""

FLUX_NAMES: NameTable = {
    **BLOCK_NAMES,
    "time_in.in_layer": ("time_text_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_text_embed.timestep_embedder.linear_2",),
    "vector_in.in_layer": ("time_text_embed.text_embedder.linear_1",),
    "vector_in.out_layer": ("time_text_embed.text_embedder.linear_2",),
    "guidance_in.in_layer": ("time_text_embed.guidance_embedder.linear_1",),
    "guidance_in.out_layer": ("time_text_embed.guidance_embedder.linear_2",),
    "double_blocks.#.img_mod.lin": ("transformer_blocks.#.norm1.linear",),
    "double_blocks.#.txt_mod.lin": ("transformer_blocks.#.norm1_context.linear",),
    "single_blocks.#.modulation.lin": ("single_transformer_blocks.#.norm.linear",),
    "final_layer.adaLN_modulation.1": ("norm_out.linear",),
}
_SWAPPED = ("norm_out.linear",)


class FluxModel:
    """All of Flux.1; what sets its members apart is in their configuration."""

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """See `TransformerModel`."""
        with torch.device("meta"):
            return FluxTransformer2DModel.from_config(dict(config))

    def empty_inputs(self, network: Any, height: int, width: int, tokens: int) -> TransformerInputs:
        """A call of one row of latents of this size, without numbers."""
        read = network.config.in_channels // SIDE**2
        drawn = (network.config.out_channels or network.config.in_channels) // SIDE**2
        return empty_inputs(network, drawn, height, width, tokens, extra=read - drawn)

    def convert(self, tensors: Mapping[str, torch.Tensor], network: Any) -> dict[str, torch.Tensor]:
        """See `TransformerModel`."""
        return to_modules(tensors, network, FLUX_NAMES, _SWAPPED)

    def lora_places(self, network: Any) -> LoraPlaces:
        """The modules that each layer of a LoRA is for."""
        return lora_places(network, FLUX_NAMES, _SWAPPED)

    def velocity(self, network: Any, inputs: TransformerInputs) -> torch.Tensor:
        """See `TransformerModel`. Schnell was taught no guidance and leaves it alone."""
        latents, references = inputs.latents, inputs.references
        drawn = latents if inputs.extra is None else torch.cat([latents, inputs.extra], dim=1)
        seen = [packed(drawn), *(packed(one).expand(len(latents), -1, -1) for one in references)]
        places = [positions(latents)]
        places += [positions(one, 1, at) for one, at in zip(references, laid_out(references), strict=True)]
        answer = network(
            hidden_states=torch.cat(seen, dim=1),
            timestep=inputs.shares,
            guidance=inputs.guidance if network.config.guidance_embeds else None,
            pooled_projections=inputs.pooled,
            encoder_hidden_states=inputs.tokens,
            txt_ids=torch.zeros((inputs.tokens.shape[1], 3), device=latents.device),
            img_ids=torch.cat(places),
            return_dict=False,
        )[0]
        return unpacked(answer[:, : seen[0].shape[1]], *latents.shape[-2:])
