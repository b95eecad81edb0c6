"""Which module of a checkpoint each tensor of a LoRA file belongs to.

Three ways of writing are read: kohya's (`lora_unet_down_blocks_0_…`, the module's path with "_" for ".", for
SDXL with the block names of the original code), diffusers' and PEFT's (`unet.down_blocks.0.….lora_A.weight`).
kohya's names are looked up among the names of the modules, written the same way, so that none has to be
guessed; for the original code's blocks diffusers has the table.
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
    ".lora_down.weight": "down", ".lora_up.weight": "up", ".alpha": "alpha",
    ".lora_A.weight": "down", ".lora_B.weight": "up",
    ".lora_A.default.weight": "down", ".lora_B.default.weight": "up",
    ".lora.down.weight": "down", ".lora.up.weight": "up",
    ".lora_linear_layer.down.weight": "down", ".lora_linear_layer.up.weight": "up",
    "_lora.down.weight": "down", "_lora.up.weight": "up",
}  # fmt: skip
_KOHYA = {
    "lora_unet_": UNET, "lora_te_": "text_encoder_0", "lora_te1_": "text_encoder_0",
    "lora_te2_": "text_encoder_1",
}  # fmt: skip
_SGM = re.compile(r"lora_unet_(?:input_blocks|middle_block|output_blocks)_\d{1,2}_(?:\d_)?[a-z]")
# The original code's names inside of a block, and of what is in no block.
_ORIGINAL = {
    "input_blocks_0_0": "conv_in", "out_2": "conv_out", "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2", "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
}  # fmt: skip
_INSIDE = (
    ("input_blocks_", "down_blocks_"), ("middle_block_", "mid_block_"), ("output_blocks_", "up_blocks_"),
    ("_in_layers_2", "_conv1"), ("_out_layers_3", "_conv2"), ("_emb_layers_1", "_time_emb_proj"),
    ("_skip_connection", "_conv_shortcut"), ("samplers_0_op", "samplers_0_conv"),
)  # fmt: skip


@dataclass
class LoraTarget:
    """Where a pair of tensors goes, and their names in the file: `down`, `up`, perhaps `alpha`."""

    part: str
    module: str
    tensors: dict[str, str] = field(default_factory=dict)


def lora_targets(
    names: Iterable[str], unet: nn.Module, encoders: Iterable[nn.Module]
) -> tuple[list[LoraTarget], list[str]]:
    """The places of a LoRA's tensors, and the names that have none in this checkpoint."""
    modules = {UNET: _modules(unet)}
    for index, encoder in enumerate(encoders):
        modules[f"text_encoder_{index}"] = _modules(encoder)
    every = list(names)
    blocks = _block_names(every, unet)
    found: dict[tuple[str, str], LoraTarget] = {}
    homeless: list[str] = []
    for name in every:
        base, role = _split(name)
        part, path = _part(blocks.get(base, base))
        module = modules.get(part, {}).get(path)
        if not role or module is None:
            homeless.append(name)
            continue
        found.setdefault((part, module), LoraTarget(part, module)).tensors[role] = name
    return list(found.values()), homeless


def is_pair(name: str) -> bool:
    """Whether this is a tensor of a plain LoRA: a down, an up or an alpha."""
    return bool(_split(name)[1])


def beside_pairs(found: Iterable[LoraTarget], homeless: Iterable[str]) -> str:
    """A tensor without a place that stands beside a pair which has one, so that it changes it; "" if none."""
    bases = {_split(name)[0] for place in found for name in place.tensors.values()}
    for name in homeless:
        parts = name.split(".")
        if any(".".join(parts[:count]) in bases for count in range(1, len(parts))):
            return name
    return ""


def _split(name: str) -> tuple[str, str]:
    for end, role in _ENDS.items():
        if name.endswith(end):
            return name.removesuffix(end), role
    return name, ""


def _part(base: str) -> tuple[str, str]:
    """The part of the checkpoint, and the module's path in it, written with "_"."""
    for prefix, part in _KOHYA.items():
        if base.startswith(prefix):
            return part, base.removeprefix(prefix)
    base = base.removeprefix("base_model.model.")
    # before 2023-08 diffusers kept the layers of attention in processors
    base = base.replace(".processor.", ".")
    base = base + ".0" if base.endswith(".to_out") else base
    for prefix, part in (
        ("unet.", UNET),
        ("text_encoder.", "text_encoder_0"),
        ("text_encoder_2.", "text_encoder_1"),
    ):
        if base.startswith(prefix):
            return part, base.removeprefix(prefix).replace(".", "_")
    return UNET, base.replace(".", "_")


def _modules(module: nn.Module) -> dict[str, str]:
    """Names of the linear layers and convolutions by the same names with "_" for "."."""
    found: dict[str, str] = {}
    for name, one in module.named_modules():
        if isinstance(one, nn.Linear | nn.Conv2d):
            flat = name.replace(".", "_")
            found[flat] = name
            # Transformers 5.6 flattened CLIPTextModel; files were written before that.
            found.setdefault("text_model_" + flat, name)
    return found


def _block_names(names: Iterable[str], unet: Any) -> dict[str, str]:
    """kohya's names with the original code's blocks, under diffusers' block names."""
    bases = {_split(name)[0] for name in names}
    blocks = {
        base: base for base in bases if _SGM.match(base) and not base.startswith("lora_unet_input_blocks_0_")
    }
    try:
        mapped: Mapping[str, str] = _maybe_map_sgm_blocks_to_diffusers(blocks, unet.config) if blocks else {}
    except (ValueError, IndexError):
        mapped = {}  # then they have no place, and the file is refused for that
    found = {}
    for new, old in mapped.items():
        for theirs, ours in _INSIDE:
            new = new.replace(theirs, ours)
        found[old] = new
    for theirs, ours in _ORIGINAL.items():
        found[f"lora_unet_{theirs}"] = f"lora_unet_{ours}"
    return found
