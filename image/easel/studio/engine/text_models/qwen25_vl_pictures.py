"""Qwen2.5-VL with its eyes: Qwen-Image-Edit reads what is to be changed beside the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel

from easel.studio.engine.text_models.decoder import decoder_name
from easel.studio.engine.text_models.names import under_names

DROPPED = 64
"""Tokens of what it is told before the picture; the transformer is not shown them."""
_TOLD = (
    "Describe the key features of the input image (color, shape, size, texture, objects, background), then "
    "explain how the user's text instruction should alter or modify the image. Generate a new image that "
    "meets the user's requirements while maintaining consistency with the original input where appropriate."
)
_PLACE = "<|image_pad|>"
# Pixels of a picture as it is looked at: one alone, and one of several.
_ALONE, _OF_SEVERAL = 1024 * 1024, 384 * 384
# As published beside Qwen2.5-VL (preprocessor_config.json); pictures of the sizes above are within them.
_PIXELS = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 16384}


class Qwen25PicturesText:
    """The part that reads and the part that sees, without the head."""

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """See TextModel."""
        with torch.device("meta"):
            return Qwen2_5_VLModel(Qwen2_5_VLConfig.from_dict(dict(config)))

    def convert(self, tensors: Mapping[str, Tensor], module: Any) -> dict[str, Tensor]:
        """See TextModel. llama.cpp keeps the part that sees in a file of its own, which is not understood."""
        return under_names(tensors, module, _name)


def _name(name: str) -> str:
    inner = name.removeprefix("model.")
    return inner if inner.startswith("visual.") else f"language_model.{decoder_name(name)}"


def states(
    module: Any, text: str, pictures: Sequence[Image.Image], tokenizer: Tokenizer, *, numbered: bool
) -> Tensor:
    """What the last layer says of pictures and words, (1, tokens, width), without what it was told.

    `numbered`: each picture has its number before it and is looked at smaller, as Qwen-Image-Edit was trained
    from its version 2509 on.
    """
    seen = _eyes()(images=[_sized(one, numbered=numbered) for one in pictures], return_tensors="pt")
    grids = seen["image_grid_thw"]
    merged = module.config.vision_config.spatial_merge_size**2
    places = [
        (f"Picture {number}: " if numbered else "")
        + f"<|vision_start|>{_PLACE * (int(grid.prod()) // merged)}<|vision_end|>"
        for number, grid in enumerate(grids, start=1)
    ]
    asked = (
        f"<|im_start|>system\n{_TOLD}<|im_end|>\n<|im_start|>user\n{''.join(places)}{text}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    place = tokenizer.token_to_id(_PLACE)
    assert place is not None  # noqa: S101 - it is in the package
    device = module.language_model.embed_tokens.weight.device
    ids = torch.tensor([tokenizer.encode(asked, add_special_tokens=False).ids], device=device)
    output = module(
        input_ids=ids,
        pixel_values=seen["pixel_values"].to(device),
        image_grid_thw=grids.to(device),
        # says which tokens are a picture's: without it their places in two dimensions are lost
        mm_token_type_ids=torch.eq(ids, place).int(),
        use_cache=False,
    )
    found: Tensor = output.last_hidden_state
    return found[:, DROPPED:]


def _sized(picture: Image.Image, *, numbered: bool) -> Image.Image:
    """The picture at the area that it is looked at, of sides that are multiples of 32."""
    ratio = picture.width / picture.height
    wide = math.sqrt((_OF_SEVERAL if numbered else _ALONE) * ratio)
    size = (round(wide / 32) * 32, round(wide / ratio / 32) * 32)
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


@cache
def _eyes() -> Any:
    """What cuts pictures into patches; imported here for it brings torchvision, which texts do not need."""
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

    return Qwen2VLImageProcessor(size=_PIXELS)
