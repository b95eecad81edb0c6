"""Stable Diffusion's own names for the tensors of diffusers' modules, as single-file checkpoints have them.

The names follow the published checkpoints, not diffusers' conversion tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

Tensors = dict[str, torch.Tensor]

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def checkpoint(unet_module: Any, vae_module: Any, text_module: Any) -> Tensors:
    """All tensors of an SD 1.x shaped checkpoint under their original names."""
    found = {f"model.diffusion_model.{name}": tensor for name, tensor in unet(unet_module).items()}
    found |= {f"first_stage_model.{name}": tensor for name, tensor in vae(vae_module).items()}
    prefix = "cond_stage_model.transformer.text_model."
    found |= {prefix + name: tensor for name, tensor in text_module.state_dict().items()}
    return {name: tensor.contiguous() for name, tensor in found.items()}


def unet(module: Any) -> Tensors:
    """UNet tensors by their original names, without prefix."""
    depth = module.config.layers_per_block
    attended = [
        any("attentions" in name for name, _ in block.named_parameters()) for block in module.up_blocks
    ]
    return {_unet_name(name, depth, attended): tensor for name, tensor in module.state_dict().items()}


def _unet_name(name: str, depth: int, attended: list[bool]) -> str:
    for ours, theirs in _UNET_ENDS.items():
        if name.startswith(ours + "."):
            return theirs + name.removeprefix(ours)
    if found := re.fullmatch(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", name):
        side, block, part, index, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        first = 1 + block * (depth + 1) if side == "down" else block * (depth + 1)
        place = f"{'input' if side == 'down' else 'output'}_blocks."
        if part == "resnets":
            return f"{place}{first + index}.0.{_renamed(rest, _RESNET)}"
        if part == "attentions":
            return f"{place}{first + index}.1.{rest}"
        if part == "downsamplers":
            return f"{place}{first + depth}.0.{rest.replace('conv', 'op')}"
        return f"{place}{first + depth}.{2 if attended[block] else 1}.{rest}"
    if found := re.fullmatch(r"mid_block\.(\w+)\.(\d+)\.(.+)", name):
        if found[1] == "attentions":
            return f"middle_block.1.{found[3]}"
        return f"middle_block.{int(found[2]) * 2}.{_renamed(found[3], _RESNET)}"
    raise ValueError(name)


def vae(module: Any) -> Tensors:
    """VAE tensors by their original names, without prefix; attention as 1x1 convolutions."""
    blocks = len(module.config.block_out_channels)
    found = {}
    for name, tensor in module.state_dict().items():
        new = _vae_name(name, blocks)
        attention = re.search(r"\.(q|k|v|proj_out)\.weight$", new)
        found[new] = tensor[:, :, None, None] if attention else tensor
    return found


def _vae_name(name: str, blocks: int) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2", name)
    name = re.sub(
        r"up_blocks\.(\d+)\.resnets\.(\d+)", lambda m: f"up.{blocks - 1 - int(m[1])}.block.{m[2]}", name
    )
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    if found := re.fullmatch(r"(\w+)\.mid_block\.attentions\.0\.(.+)", name):
        return f"{found[1]}.mid.attn_1.{_renamed(found[2], _VAE_ATTENTION)}"
    return name


def _renamed(rest: str, table: Mapping[str, str]) -> str:
    for ours, theirs in table.items():
        if rest.startswith(ours + "."):
            return theirs + rest.removeprefix(ours)
    return rest
