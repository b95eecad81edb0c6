"""Flux.2 dev and klein: a transformer over latents that are patches already (`latent_spaces.PatchedLatents`).

The text is always as long as the longest that it may be, and what fills it up counts: no mask. `references`
follow the picture's tokens at times of their own, 10, 20, ... where the picture is at 0 (`Flux2Pipeline`),
and what the network answers for them is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

from easel.studio.engine.transformers.empty_inputs import empty_inputs
from easel.studio.engine.transformers.flux import ATTENTION_NAMES
from easel.studio.engine.transformers.lora_names import LoraPlaces, lora_places
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.published_names import NameTable, to_modules

FLUX2_NAMES: NameTable = {
    **ATTENTION_NAMES,
    "time_in.in_layer": ("time_guidance_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_guidance_embed.timestep_embedder.linear_2",),
    "guidance_in.in_layer": ("time_guidance_embed.guidance_embedder.linear_1",),
    "guidance_in.out_layer": ("time_guidance_embed.guidance_embedder.linear_2",),
    "double_stream_modulation_img.lin": ("double_stream_modulation_img.linear",),
    "double_stream_modulation_txt.lin": ("double_stream_modulation_txt.linear",),
    "single_stream_modulation.lin": ("single_stream_modulation.linear",),
    "double_blocks.#.img_mlp.0": ("transformer_blocks.#.ff.linear_in",),
    "double_blocks.#.img_mlp.2": ("transformer_blocks.#.ff.linear_out",),
    "double_blocks.#.txt_mlp.0": ("transformer_blocks.#.ff_context.linear_in",),
    "double_blocks.#.txt_mlp.2": ("transformer_blocks.#.ff_context.linear_out",),
    "single_blocks.#.linear1": ("single_transformer_blocks.#.attn.to_qkv_mlp_proj",),
    "single_blocks.#.linear2": ("single_transformer_blocks.#.attn.to_out",),
    "final_layer.adaLN_modulation.1": ("norm_out.linear",),
}
"""What Black Forest Labs call otherwise than diffusers."""
_SWAPPED = ("norm_out.linear",)
_APART = 10
"""Between the times of two pictures."""


class Flux2Model:
    """See `TransformerModel`; what sets dev and the two kleins apart is in their configuration."""

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """A `Flux2Transformer2DModel`."""
        with torch.device("meta"):
            return Flux2Transformer2DModel.from_config(dict(config))

    def convert(self, tensors: Mapping[str, torch.Tensor], network: Any) -> dict[str, torch.Tensor]:
        """See `TransformerModel`."""
        return to_modules(tensors, network, FLUX2_NAMES, _SWAPPED)

    def lora_places(self, network: Any) -> LoraPlaces:
        """The modules that each layer of a LoRA is for."""
        return lora_places(network, FLUX2_NAMES, _SWAPPED)

    def empty_inputs(self, network: Any, height: int, width: int, tokens: int) -> TransformerInputs:
        """A call of one row of latents of this size, without numbers, where the network is."""
        return empty_inputs(network, network.config.in_channels, height, width, tokens)

    def velocity(self, network: Any, inputs: TransformerInputs) -> torch.Tensor:
        """The network answers with it. Where rows' texts are of several lengths all the same, by mask."""
        pictures = [inputs.latents, *inputs.references]
        rows = len(inputs.latents)
        seen = [one.flatten(2).transpose(1, 2).expand(rows, -1, -1) for one in pictures]
        answer: torch.Tensor = network(
            hidden_states=torch.cat(seen, dim=1),
            encoder_hidden_states=inputs.tokens,
            timestep=inputs.shares,
            guidance=inputs.guidance if network.config.guidance_embeds else None,
            txt_ids=_text_places(inputs.tokens),
            img_ids=torch.cat([_places(one, _APART * number) for number, one in enumerate(pictures)]),
            joint_attention_kwargs=_masked(inputs.mask, sum(one.shape[1] for one in seen)),
            return_dict=False,
        )[0]
        return answer[:, : seen[0].shape[1]].transpose(1, 2).reshape(inputs.latents.shape)


def _places(latents: torch.Tensor, time: int) -> torch.Tensor:
    """Of each token time, row, column, and 0."""
    height, width = latents.shape[-2:]
    found = torch.zeros((height, width, 4), device=latents.device)
    found[..., 0] = time
    found[..., 1] = torch.arange(height, device=latents.device)[:, None]
    found[..., 2] = torch.arange(width, device=latents.device)
    return found.flatten(0, 1)


def _text_places(tokens: torch.Tensor) -> torch.Tensor:
    """Of each token its place in the text, the last number of four."""
    count = tokens.shape[1]
    return F.pad(torch.arange(count, device=tokens.device, dtype=torch.float32)[:, None], (3, 0))


def _masked(mask: torch.Tensor | None, others: int) -> dict[str, torch.Tensor] | None:
    if mask is None:
        return None
    return {"attention_mask": F.pad(mask, (0, others), value=True)[:, None, None]}
