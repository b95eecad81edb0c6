"""Chroma: Flux's blocks without the vectors that steer them; a small network makes those from the time alone.

It has no pooled text and no distilled guidance, and reads the text under a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.models.transformers.transformer_chroma import ChromaTransformer2DModel
from torch import nn

from easel.studio.engine.transformers.empty_inputs import empty_inputs
from easel.studio.engine.transformers.flux import BLOCK_NAMES
from easel.studio.engine.transformers.lora_names import LoraPlaces, lora_places
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.patches import SIDE, packed, positions, unpacked
from easel.studio.engine.transformers.published_names import NameTable, to_modules

CHROMA_NAMES: NameTable = {
    **BLOCK_NAMES,
    "distilled_guidance_layer.layers.#.in_layer": ("distilled_guidance_layer.layers.#.linear_1",),
    "distilled_guidance_layer.layers.#.out_layer": ("distilled_guidance_layer.layers.#.linear_2",),
    "distilled_guidance_layer.norms.#": ("distilled_guidance_layer.norms.#",),
}


class ChromaModel:
    """Chroma1 in all its editions."""

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """See `TransformerModel`."""
        with torch.device("meta"):
            network: Any = ChromaTransformer2DModel.from_config(dict(config))
            places = network.time_text_embed.mod_proj
            network.time_text_embed = _TimeAndPlace(*places.shape)
        return network

    def empty_inputs(self, network: Any, height: int, width: int, tokens: int) -> TransformerInputs:
        """A call of one row of latents of this size, without numbers."""
        channels = network.config.in_channels // SIDE**2
        return empty_inputs(network, channels, height, width, tokens, masked=True)

    def convert(self, tensors: Mapping[str, torch.Tensor], network: Any) -> dict[str, torch.Tensor]:
        """See `TransformerModel`."""
        return to_modules(tensors, network, CHROMA_NAMES)

    def lora_places(self, network: Any) -> LoraPlaces:
        """The modules that each layer of a LoRA is for."""
        return lora_places(network, CHROMA_NAMES)

    def velocity(self, network: Any, inputs: TransformerInputs) -> torch.Tensor:
        """See `TransformerModel`."""
        latents, mask = inputs.latents, inputs.mask
        image = packed(latents)
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(image.shape[:2])], dim=1)
        answer = network(
            hidden_states=image,
            timestep=inputs.shares,
            encoder_hidden_states=inputs.tokens,
            txt_ids=torch.zeros((inputs.tokens.shape[1], 3), device=latents.device),
            img_ids=positions(latents),
            attention_mask=mask,
            return_dict=False,
        )[0]
        return unpacked(answer, *latents.shape[-2:])


class _TimeAndPlace(nn.Module):
    """What the small network reads for each vector that it makes: the time, a guidance of none, its place.

    For diffusers' `ChromaCombinedTimestepTextProjEmbeddings`: that one keeps the places in a buffer that no
    checkpoint holds, and so has none once it was built without memory, and makes a tensor of Python numbers
    in each call, which a device has to be waited for.
    """

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self._shape = places, width

    def forward(self, timestep: torch.Tensor) -> torch.Tensor:
        """(rows, places, numbers), in the type of `timestep` (rows,)."""
        places, width = self._shape
        place = _places(places, width, timestep.device, timestep.dtype).expand(len(timestep), -1, -1)
        both = [_embedded(one, width // 2) for one in (timestep, torch.zeros_like(timestep))]
        time = torch.cat(both, dim=1).to(timestep.dtype)
        return torch.cat([time[:, None].expand(-1, places, -1), place], dim=-1)


def _embedded(numbers: torch.Tensor, width: int) -> torch.Tensor:
    found: torch.Tensor = get_timestep_embedding(numbers, width, flip_sin_to_cos=True, downscale_freq_shift=0)
    return found


@cache
def _places(count: int, width: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Constants of the family: made on the CPU whatever the device, because the sine of 344 000 is another
    one where `exp` was rounded otherwise."""
    with torch.inference_mode(False):
        numbers = torch.arange(count, device="cpu") * 1000
        return _embedded(numbers, width).to(device=device, dtype=dtype)
