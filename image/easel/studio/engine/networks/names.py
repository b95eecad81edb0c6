"""Which layer of a checkpoint each tensor of a network's file belongs to, and which part of a formula it is.

A tensor's name is a layer's and a role. The layer is written as kohya's scripts, LyCORIS and OneTrainer do
(`lora_unet_down_blocks_0_…`, the path with "_" for ".", for SDXL with the block names of the original code),
or as diffusers and PEFT do (`unet.down_blocks.0.…`). All are looked up among the names of the layers, written
with "_", so that none has to be guessed; for the original code's blocks diffusers has the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diffusers.loaders.lora_conversion_utils import _maybe_map_sgm_blocks_to_diffusers
from torch import nn

UNET = "unet"
_ENDS = {
    ".lora_down.weight": "down", ".lora_up.weight": "up", ".lora_mid.weight": "mid",
    ".lora_A.weight": "down", ".lora_B.weight": "up",
    ".lora_A.default.weight": "down", ".lora_B.default.weight": "up",
    ".lora.down.weight": "down", ".lora.up.weight": "up",
    ".lora_linear_layer.down.weight": "down", ".lora_linear_layer.up.weight": "up",
    "_lora.down.weight": "down", "_lora.up.weight": "up",
    ".lora_magnitude_vector": "magnitude", ".lora_magnitude_vector.weight": "magnitude",
    ".lora_magnitude_vector.default.weight": "magnitude",
    ".a1.weight": "a1", ".a2.weight": "a2", ".b1.weight": "b1", ".b2.weight": "b2", ".bm.weight": "bm",
} | {
    f".{role}": role
    for role in (
        "alpha", "scale", "dora_scale", "diff", "diff_b", "w_norm", "b_norm", "oft_blocks", "oft_diag",
        "rescale", "on_input", "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2",
        "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2",
    )
}  # fmt: skip
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


@dataclass
class TargetLayer:
    """A layer, and the names in the file of the tensors for it, by role (`down`, `up`, `alpha`, …)."""

    part: str
    module: str
    tensors: dict[str, str] = field(default_factory=dict)


def find_targets(
    names: Iterable[str], unet: nn.Module, encoders: Iterable[nn.Module]
) -> tuple[list[TargetLayer], list[str]]:
    """The layers that a file's tensors are for, and the names that have no place in this checkpoint."""
    layers = {UNET: _layers(unet)}
    for index, encoder in enumerate(encoders):
        layers[f"text_encoder_{index}"] = _layers(encoder)
    every = list(names)
    scaling = {name.removesuffix(".on_input") for name in every if name.endswith(".on_input")}
    split = {name: _split(name, scaling) for name in every}
    places = {base: _place(base) for base, role in split.values() if role}
    blocks = _block_names({path for part, path in places.values() if part == UNET}, unet)
    found: dict[tuple[str, str], TargetLayer] = {}
    homeless: list[str] = []
    for name, (base, role) in split.items():
        part, path = places.get(base, ("", ""))
        layer = layers.get(part, {}).get(blocks.get(path, path) if part == UNET else path)
        if not role or layer is None:
            homeless.append(name)
            continue
        found.setdefault((part, layer), TargetLayer(part, layer)).tensors[role] = name
    return list(found.values()), homeless


def has_role(name: str) -> bool:
    """Whether this is a tensor of a network: a matrix, an alpha or the like, for whatever layer."""
    return bool(_split(name, ())[1])


def beside_others(found: Iterable[TargetLayer], homeless: Iterable[str]) -> str:
    """A tensor without a role that stands beside some that have one, so that it changes them; "" if none."""
    bases = {_split(name, ())[0] for place in found for name in place.tensors.values()}
    for name in homeless:
        parts = name.split(".")
        if any(".".join(parts[:count]) in bases for count in range(1, len(parts))):
            return name
    return ""


def _split(name: str, scaling: Iterable[str]) -> tuple[str, str]:
    """The layer's name and the role. `scaling` are layers whose `.weight` is no layer's but IA³'s."""
    for end, role in _ENDS.items():
        if name.endswith(end):
            return name.removesuffix(end), role
    base = name.removesuffix(".weight")
    return (base, "weight") if base in scaling else (name, "")


def _place(base: str) -> tuple[str, str]:
    """The part of the checkpoint, and the layer's path in it, written with "_"."""
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


def _layers(module: nn.Module) -> dict[str, str]:
    """Names of the layers that a network may change by the same names with "_" for "."."""
    found: dict[str, str] = {}
    for name, one in module.named_modules():
        normalizes = isinstance(one, nn.LayerNorm | nn.GroupNorm) and one.weight is not None
        if normalizes or isinstance(one, nn.Linear | nn.Conv2d):
            flat = name.replace(".", "_")
            found[flat] = name
            # Transformers 5.6 flattened CLIPTextModel; files were written before that.
            found.setdefault("text_model_" + flat, name)
    return found


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
