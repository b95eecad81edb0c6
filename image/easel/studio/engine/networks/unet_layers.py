"""Where a checkpoint with a UNet has the layers that are named in a network's file.

A layer is written as kohya's scripts, LyCORIS and OneTrainer do (`lora_unet_down_blocks_0_…`, the path with
"_" for ".", for SDXL with the block names of the original code), or as diffusers and PEFT do
(`unet.down_blocks.0.…`), or by a number (bundled_loras.py). All are looked up among the names of the layers,
written with "_", so that none has to be guessed; for the original code's blocks diffusers has the table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from diffusers.loaders.lora_conversion_utils import _maybe_map_sgm_blocks_to_diffusers
from torch import nn

from easel.studio.engine.networks.bundled_loras import layer_by_number
from easel.studio.engine.networks.layer import layers_of
from easel.studio.engine.networks.names import UNET, FindHomes, Homes
from easel.studio.engine.transformers.lora_names import LoraPlace

_PARTS = {
    "lora_unet": UNET, "lycoris": UNET, "unet": UNET, "diffusion_model": UNET,
    "lora_te1": "text_encoder_0", "lora_te2": "text_encoder_1", "lora_te": "text_encoder_0",
    "text_encoder_2": "text_encoder_1", "text_encoder": "text_encoder_0",
    "clip_l": "text_encoder_0", "clip_g": "text_encoder_1",
}  # fmt: skip
_SGM = re.compile(r"(?:input_blocks|middle_block|output_blocks)_\d{1,2}_(?:\d_)?[a-z]")
_KOHYA = "lora_unet_"
# The original code's names inside of a block, and of what is in no block.
_ORIGINAL = {
    "input_blocks_0_0": "conv_in", "out_0": "conv_norm_out", "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1", "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1", "label_emb_0_2": "add_embedding_linear_2",
}  # fmt: skip
_INSIDE = (
    ("input_blocks_", "down_blocks_"), ("middle_block_", "mid_block_"), ("output_blocks_", "up_blocks_"),
    ("_in_layers_0", "_norm1"), ("_out_layers_0", "_norm2"),
    ("_in_layers_2", "_conv1"), ("_out_layers_3", "_conv2"), ("_emb_layers_1", "_time_emb_proj"),
    ("_skip_connection", "_conv_shortcut"), ("samplers_0_op", "samplers_0_conv"),
)  # fmt: skip


def unet_homes(unet: nn.Module, encoders: Iterable[nn.Module]) -> FindHomes:
    """Tells the homes of layers in these."""
    layers = {UNET: layers_of(unet)}
    for index, encoder in enumerate(encoders):
        layers[f"text_encoder_{index}"] = layers_of(encoder)

    def find(bases: Collection[str]) -> Homes:
        attentions = list(getattr(unet, "attn_processors", ()))
        places = {base: _place(base, attentions) for base in bases}
        blocks = _block_names({path for part, path in places.values() if part == UNET}, unet)
        found = {}
        for base, (part, path) in places.items():
            layer = layers.get(part, {}).get(blocks.get(path, path) if part == UNET else path)
            if layer is not None:
                found[base] = ((part, LoraPlace(layer)),)
        return found

    return find


def _place(base: str, attentions: Sequence[str]) -> tuple[str, str]:
    """The part of the checkpoint, and the layer's path in it, written with "_"; `attentions` are the
    UNet's."""
    numbered = layer_by_number(base, attentions)
    if numbered is not None:
        return UNET, _flat(numbered)
    base = base.removeprefix("base_model.model.")
    for prefix, part in _PARTS.items():
        if base.startswith((f"{prefix}_", f"{prefix}.")):
            return part, _flat(base[len(prefix) + 1 :])
    return UNET, _flat(base)


def _flat(path: str) -> str:
    # before 2023-08 diffusers kept the layers of attention in processors
    path = path.replace(".processor.", ".")
    path = path + ".0" if path.endswith(".to_out") else path
    return path.replace(".", "_")


def _block_names(paths: Iterable[str], unet: Any) -> dict[str, str]:
    """Paths with the original code's blocks, and diffusers' for the same."""
    blocks = {
        _KOHYA + path: _KOHYA + path
        for path in paths
        if _SGM.match(path) and not path.startswith("input_blocks_0_")
    }
    try:
        mapped: Mapping[str, str] = _maybe_map_sgm_blocks_to_diffusers(blocks, unet.config) if blocks else {}
    except (ValueError, IndexError):
        mapped = {}  # then they have no place, and the file is refused for that
    found = dict(_ORIGINAL)
    for new, old in mapped.items():
        for theirs, ours in _INSIDE:
            new = new.replace(theirs, ours)
        found[old.removeprefix(_KOHYA)] = new.removeprefix(_KOHYA)
    return found
