"""Qwen-Image and Qwen-Image-Edit: a stream of the picture's patches beside one of text (arXiv 2508.02324).

For editing, the tokens of `references` follow those of the picture, each picture on a frame of its own, and
what the network answers for them is dropped (`QwenImageEditPlusPipeline`). The text encoder looks at the
pictures as well; that is not done here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.transformers.transformer_qwenimage import QwenEmbedRope, QwenImageTransformer2DModel

from easel.studio.engine.transformers.empty_inputs import empty_inputs
from easel.studio.engine.transformers.lora_names import LoraPlaces, lora_places
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.patches import SIDE, packed, unpacked
from easel.studio.engine.transformers.published_names import NameTable, to_modules

QWEN_IMAGE_NAMES: NameTable = {}
"""Single files have diffusers' names."""


class QwenImageModel:
    """See `TransformerModel`."""

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """A `QwenImageTransformer2DModel`. Its table of positions is neither weight nor buffer, and is made
        where there is memory for it."""
        with torch.device("meta"):
            network = QwenImageTransformer2DModel.from_config(dict(config))
        with torch.device("cpu"):
            axes = list(network.config.axes_dims_rope)
            network.pos_embed = QwenEmbedRope(theta=10000, axes_dim=axes, scale_rope=True)
        return network

    def convert(self, tensors: Mapping[str, torch.Tensor], network: Any) -> dict[str, torch.Tensor]:
        """See `TransformerModel`."""
        return to_modules(tensors, network, QWEN_IMAGE_NAMES)

    def lora_places(self, network: Any) -> LoraPlaces:
        """The modules that each layer of a LoRA is for."""
        return lora_places(network, QWEN_IMAGE_NAMES)

    def empty_inputs(self, network: Any, height: int, width: int, tokens: int) -> TransformerInputs:
        """A call of one row of latents of this size, without numbers, where the network is."""
        return empty_inputs(network, network.config.out_channels, height, width, tokens, masked=True)

    def velocity(self, network: Any, inputs: TransformerInputs) -> torch.Tensor:
        """The network answers with it."""
        pictures = [inputs.latents, *inputs.references]
        rows = len(inputs.latents)
        seen = [packed(one).expand(rows, -1, -1) for one in pictures]
        shapes = [(1, one.shape[2] // SIDE, one.shape[3] // SIDE) for one in pictures]
        answer = network(
            hidden_states=torch.cat(seen, dim=1),
            encoder_hidden_states=inputs.tokens,
            encoder_hidden_states_mask=inputs.mask,
            timestep=inputs.shares,
            img_shapes=[shapes] * rows,
            return_dict=False,
        )[0]
        return unpacked(answer[:, : seen[0].shape[1]], *inputs.latents.shape[-2:])


def rescaled(guided: torch.Tensor, prompt: torch.Tensor) -> torch.Tensor:
    """What CFG made of the prompt's answer, each patch as long again as the answer was: so guidance changes
    where a patch goes and not how far. The family was published with it."""
    wanted, found = (packed(one).norm(dim=-1, keepdim=True) for one in (prompt, guided))
    return unpacked(packed(guided) * (wanted / found), *guided.shape[-2:])
