"""Transformers' tensors as their publishers name them in a single file.

Written down from the publishers' own code (black-forest-labs/flux `model.py` and `modules/layers.py`,
Stability-AI/sd3.5 `mmditx.py`) and not from the tables under test.
"""

from __future__ import annotations

from typing import Any

import torch

Tensors = dict[str, torch.Tensor]


def published(name: str, network: Any) -> Tensors:
    """The tensors of a family's single file, made of the network's."""
    own = dict(network.state_dict())
    return _sd3(own, network) if name.startswith("sd3") else _flux(own, network)


class _File:
    """Takes tensors of diffusers' layout and puts them under other names."""

    def __init__(self, own: Tensors) -> None:
        self.own = own
        self.tensors: Tensors = {}

    def move(self, name: str, *parts: str, leaf: str | None = None, swap: bool = False) -> None:
        """Weights and biases of `parts`, one under the other, as those of `name`."""
        for end in ("weight", "bias"):
            if f"{parts[0]}.{end}" in self.own:
                joined = torch.cat([self.own.pop(f"{part}.{end}") for part in parts])
                if swap:
                    scale, shift = joined.chunk(2)
                    joined = torch.cat([shift, scale])
                self.tensors[f"{name}.{leaf or end}"] = joined


def _flux(own: Tensors, network: Any) -> Tensors:
    file = _File(own)
    for there, here in (("time_in", "timestep"), ("vector_in", "text"), ("guidance_in", "guidance")):
        for layer, number in (("in_layer", 1), ("out_layer", 2)):
            name = f"time_text_embed.{here}_embedder.linear_{number}"
            file.move(f"{there}.{layer}", name)
    file.move("img_in", "x_embedder")
    file.move("txt_in", "context_embedder")
    for number in range(len(network.transformer_blocks)):
        _double_block(file, f"double_blocks.{number}", f"transformer_blocks.{number}")
    for number in range(len(network.single_transformer_blocks)):
        there, here = f"single_blocks.{number}", f"single_transformer_blocks.{number}"
        file.move(f"{there}.linear1", *(f"{here}.attn.to_{one}" for one in "qkv"), f"{here}.proj_mlp")
        file.move(f"{there}.linear2", f"{here}.proj_out")
        file.move(f"{there}.norm.query_norm", f"{here}.attn.norm_q", leaf="scale")
        file.move(f"{there}.norm.key_norm", f"{here}.attn.norm_k", leaf="scale")
        file.move(f"{there}.modulation.lin", f"{here}.norm.linear")
    file.move("final_layer.linear", "proj_out")
    file.move("final_layer.adaLN_modulation.1", "norm_out.linear", swap=True)
    layer = "distilled_guidance_layer"
    file.move(f"{layer}.in_proj", f"{layer}.in_proj")
    file.move(f"{layer}.out_proj", f"{layer}.out_proj")
    for number in range(getattr(network.config, "approximator_layers", 0)):
        file.move(f"{layer}.layers.{number}.in_layer", f"{layer}.layers.{number}.linear_1")
        file.move(f"{layer}.layers.{number}.out_layer", f"{layer}.layers.{number}.linear_2")
        file.move(f"{layer}.norms.{number}", f"{layer}.norms.{number}", leaf="scale")
    assert not own
    return file.tensors


def _double_block(file: _File, there: str, here: str) -> None:
    for stream, to, norm, forward in (
        ("img", "to_{}", "norm_", "ff"),
        ("txt", "add_{}_proj", "norm_added_", "ff_context"),
    ):
        file.move(f"{there}.{stream}_attn.qkv", *(f"{here}.attn.{to.format(one)}" for one in "qkv"))
        file.move(f"{there}.{stream}_attn.norm.query_norm", f"{here}.attn.{norm}q", leaf="scale")
        file.move(f"{there}.{stream}_attn.norm.key_norm", f"{here}.attn.{norm}k", leaf="scale")
        file.move(f"{there}.{stream}_mlp.0", f"{here}.{forward}.net.0.proj")
        file.move(f"{there}.{stream}_mlp.2", f"{here}.{forward}.net.2")
    file.move(f"{there}.img_attn.proj", f"{here}.attn.to_out.0")
    file.move(f"{there}.txt_attn.proj", f"{here}.attn.to_add_out")
    file.move(f"{there}.img_mod.lin", f"{here}.norm1.linear")
    file.move(f"{there}.txt_mod.lin", f"{here}.norm1_context.linear")


def _sd3(own: Tensors, network: Any) -> Tensors:
    file = _File(own)
    file.tensors["pos_embed"] = own.pop("pos_embed.pos_embed")
    file.move("x_embedder.proj", "pos_embed.proj")
    file.move("context_embedder", "context_embedder")
    for there, here in (("t_embedder", "timestep"), ("y_embedder", "text")):
        file.move(f"{there}.mlp.0", f"time_text_embed.{here}_embedder.linear_1")
        file.move(f"{there}.mlp.2", f"time_text_embed.{here}_embedder.linear_2")
    last = len(network.transformer_blocks) - 1
    for number in range(last + 1):
        there, here = f"joint_blocks.{number}", f"transformer_blocks.{number}"
        for stream, to, norm, forward, adaptive in (
            ("x", "to_{}", "norm_", "ff", "norm1"),
            ("context", "add_{}_proj", "norm_added_", "ff_context", "norm1_context"),
        ):
            block = f"{there}.{stream}_block"
            file.move(f"{block}.attn.qkv", *(f"{here}.attn.{to.format(one)}" for one in "qkv"))
            file.move(f"{block}.attn.ln_q", f"{here}.attn.{norm}q")
            file.move(f"{block}.attn.ln_k", f"{here}.attn.{norm}k")
            file.move(f"{block}.mlp.fc1", f"{here}.{forward}.net.0.proj")
            file.move(f"{block}.mlp.fc2", f"{here}.{forward}.net.2")
            file.move(
                f"{block}.adaLN_modulation.1", f"{here}.{adaptive}.linear",
                swap=number == last and stream == "context",
            )  # fmt: skip
        second = f"{there}.x_block.attn2"
        file.move(f"{second}.qkv", *(f"{here}.attn2.to_{one}" for one in "qkv"))
        file.move(f"{second}.ln_q", f"{here}.attn2.norm_q")
        file.move(f"{second}.ln_k", f"{here}.attn2.norm_k")
        file.move(f"{second}.proj", f"{here}.attn2.to_out.0")
        file.move(f"{there}.x_block.attn.proj", f"{here}.attn.to_out.0")
        file.move(f"{there}.context_block.attn.proj", f"{here}.attn.to_add_out")
    file.move("final_layer.linear", "proj_out")
    file.move("final_layer.adaLN_modulation.1", "norm_out.linear", swap=True)
    assert not own
    return file.tensors
