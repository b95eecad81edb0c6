"""Z-Image and Z-Image-Turbo: one stream of the picture's patches and the text's tokens (arXiv 2511.22699).

The module of diffusers' takes lists of rows, cuts each text to its own length and so waits for the device in
every call. Its parts are called here instead, all rows at once, with a mask in the place of the lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_z_image import SEQ_MULTI_OF, ZImageTransformer2DModel

from easel.studio.engine.transformers.lora_names import LoraPlaces, lora_places
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.published_names import NameTable, to_modules

# The only size of patch that was published: 2 by 2 pixels of 1 frame.
_PATCH, _SIZE = 2, "2-1"


def _of_blocks(blocks: str) -> NameTable:
    attention = f"{blocks}.#.attention"
    return {
        f"{attention}.qkv": tuple(f"{attention}.to_{one}" for one in "qkv"),
        f"{attention}.out": (f"{attention}.to_out.0",),
        f"{attention}.q_norm": (f"{attention}.norm_q",),
        f"{attention}.k_norm": (f"{attention}.norm_k",),
    }


Z_IMAGE_NAMES: NameTable = {
    "x_embedder": (f"all_x_embedder.{_SIZE}",),
    "final_layer.linear": (f"all_final_layer.{_SIZE}.linear",),
    "final_layer.adaLN_modulation.1": (f"all_final_layer.{_SIZE}.adaLN_modulation.1",),
    **_of_blocks("layers"),
    **_of_blocks("noise_refiner"),
    **_of_blocks("context_refiner"),
}
"""What single files call otherwise than diffusers."""


class ZImageModel:
    """See `TransformerModel`. Tokens that count come first in each row."""

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """A `ZImageTransformer2DModel`."""
        with torch.device("meta"):
            return ZImageTransformer2DModel.from_config(dict(config))

    def convert(self, tensors: Mapping[str, torch.Tensor], network: Any) -> dict[str, torch.Tensor]:
        """See `TransformerModel`."""
        return to_modules(tensors, network, Z_IMAGE_NAMES)

    def lora_places(self, network: Any) -> LoraPlaces:
        """The modules that each layer of a LoRA is for."""
        return lora_places(network, Z_IMAGE_NAMES)

    def empty_inputs(self, network: Any, height: int, width: int, tokens: int) -> TransformerInputs:
        """A call of one row of latents of this size, without numbers, where the network is."""
        weight = network.x_pad_token
        return TransformerInputs(
            latents=weight.new_empty((1, network.in_channels, height, width)),
            shares=torch.empty(1, device=weight.device),
            tokens=weight.new_empty((1, tokens, network.config.cap_feat_dim)),
            mask=torch.empty((1, tokens), dtype=torch.bool, device=weight.device),
        )

    def velocity(self, network: Any, inputs: TransformerInputs) -> torch.Tensor:
        """The network is told how much of the picture there is, and answers with the way to it."""
        height, width = (side // _PATCH for side in inputs.latents.shape[-2:])
        time = network.t_embedder((1 - inputs.shares) * network.t_scale).type_as(inputs.latents)
        text, seen = _text(network, inputs)
        image = _image(network, inputs.latents)
        image_places, text_places = _places(network, text, seen, height, width, image.shape[1])
        for layer in network.noise_refiner:
            image = layer(image, None, image_places, time)
        for layer in network.context_refiner:
            text = layer(text, seen, text_places)
        hidden = torch.cat([image, text], dim=1)
        places = torch.cat([image_places, text_places.expand(len(image_places), -1, -1)], dim=1)
        mask = None if seen is None else F.pad(seen, (image.shape[1], 0), value=True)
        for layer in network.layers:
            hidden = layer(hidden, mask, places, time)
        answer = network.all_final_layer[_SIZE](hidden[:, : height * width], c=time)
        return -_unpatched(answer, height, width)


def _image(network: Any, latents: torch.Tensor) -> torch.Tensor:
    """The picture's tokens, filled up with a learned one to a number that the training knew."""
    rows, channels, height, width = latents.shape
    patches = latents.reshape(rows, channels, height // _PATCH, _PATCH, width // _PATCH, _PATCH)
    patches = patches.permute(0, 2, 4, 3, 5, 1)
    tokens: torch.Tensor = network.all_x_embedder[_SIZE](patches.flatten(3).flatten(1, 2))
    rest = -tokens.shape[1] % SEQ_MULTI_OF
    return torch.cat([tokens, network.x_pad_token.to(tokens.dtype).expand(len(tokens), rest, -1)], dim=1)


def _unpatched(tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
    patches = tokens.reshape(len(tokens), height, width, _PATCH, _PATCH, -1)
    return patches.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


def _text(network: Any, inputs: TransformerInputs) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The texts' tokens, each text filled up as the picture is; and which of all are a text's or fill one up,
    None where all are."""
    tokens: torch.Tensor = network.cap_embedder(inputs.tokens)
    count = tokens.shape[1]
    tokens = F.pad(tokens, (0, 0, 0, -count % SEQ_MULTI_OF))
    index = torch.arange(tokens.shape[1], device=tokens.device)
    filler = network.cap_pad_token.to(tokens.dtype)
    if inputs.mask is None:
        return torch.where((index < count)[:, None], tokens, filler), None
    length = inputs.mask.sum(1, keepdim=True)
    filled_up = (length + SEQ_MULTI_OF - 1) // SEQ_MULTI_OF * SEQ_MULTI_OF
    return torch.where((index < length)[..., None], tokens, filler), index < filled_up


def _places(
    network: Any, text: torch.Tensor, seen: torch.Tensor | None, height: int, width: int, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotations of the picture's tokens and of the text's, which stand before it on the first axis: one for
    all rows, or of the picture for each where their texts are of several lengths."""
    device = text.device
    text_at = torch.zeros((text.shape[1], 3), dtype=torch.long, device=device)
    text_at[:, 0] = torch.arange(1, text.shape[1] + 1, device=device)
    rows = 1 if seen is None else len(text)
    image_at = torch.zeros((rows, count, 3), dtype=torch.long, device=device)
    inside = image_at[:, : height * width].view(rows, height, width, 3)
    inside[..., 0] = text.shape[1] + 1 if seen is None else seen.sum(1)[:, None, None] + 1
    inside[..., 1] = torch.arange(height, device=device)[:, None]
    inside[..., 2] = torch.arange(width, device=device)
    image: torch.Tensor = network.rope_embedder(image_at.flatten(0, 1))
    text_turns: torch.Tensor = network.rope_embedder(text_at)
    return image.reshape(rows, count, -1), text_turns[None]
