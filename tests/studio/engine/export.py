"""Writes modules as an original single-file checkpoint: what the loader does, backwards.

The names follow the published checkpoints (counted in test_published_shapes.py), not diffusers' conversion
tables, so that a mistake in those or in the loader does not cancel out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from scripts.starter.layout import Tensors, unet, vae

_OPEN_CLIP = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


@dataclass
class Layout:
    """Which of the layouts found in the wild to write."""

    position_ids: bool = True  # transformers before 4.31 saved them
    text_model: bool = True  # transformers from 5.6 on leaves "text_model." out
    ema: bool = False  # training leaves a second UNet behind
    vae: bool = True
    extra_layer: bool = True  # the original OpenCLIP encoder of SD 2.x has one layer more than is used


def checkpoint(modules: Any, layout: Layout | None = None) -> Tensors:
    """All tensors of a checkpoint, from an object with `unet`, `vae` and `text_encoders`."""
    layout = layout or Layout()
    found = {f"model.diffusion_model.{name}": tensor for name, tensor in unet(modules.backbone).items()}
    if layout.ema:
        found |= {
            f"model_ema.{name.replace('.', '')}": tensor + 1
            for name, tensor in unet(modules.backbone).items()
        }
    if layout.vae:
        found |= {f"first_stage_model.{name}": tensor for name, tensor in vae(modules.vae).items()}
    encoders = modules.text_encoders
    xl = hasattr(modules.backbone, "add_embedding") and modules.backbone.add_embedding is not None
    for index, encoder in enumerate(encoders):
        prefix = f"conditioner.embedders.{index}." if xl else "cond_stage_model."
        if encoder.config.hidden_act == "gelu":
            found |= {
                f"{prefix}model.{name}": tensor for name, tensor in open_clip(encoder, layout, xl).items()
            }
        else:
            found |= {f"{prefix}transformer.{name}": tensor for name, tensor in clip(encoder, layout).items()}
    return {name: tensor.contiguous() for name, tensor in found.items()}


def clip(module: Any, layout: Layout) -> Tensors:
    """OpenAI's text encoder as transformers saved it."""
    prefix = "text_model." if layout.text_model else ""
    found = {prefix + name: tensor for name, tensor in module.state_dict().items()}
    if layout.position_ids:
        found[prefix + "embeddings.position_ids"] = torch.arange(77)[None]
    return found


def open_clip(module: Any, layout: Layout, xl: bool) -> Tensors:
    """OpenCLIP's text encoder: q, k and v in one, other names, the projection the other way round."""
    state = {name.removeprefix("text_model."): tensor for name, tensor in module.state_dict().items()}
    found: Tensors = {"logit_scale": torch.tensor(4.6)}
    layers = module.config.num_hidden_layers
    for index in range(layers):
        found |= dict(_open_clip_layer(state, index, index))
    if layout.extra_layer and not xl:
        found |= {name: tensor + 1 for name, tensor in _open_clip_layer(state, layers - 1, layers)}
        found["text_projection"] = torch.zeros(module.config.hidden_size, module.config.hidden_size)
    found["token_embedding.weight"] = state["embeddings.token_embedding.weight"]
    found["positional_embedding"] = state["embeddings.position_embedding.weight"]
    for end in ("weight", "bias"):
        found[f"ln_final.{end}"] = state[f"final_layer_norm.{end}"]
    if "text_projection.weight" in state:
        found["text_projection"] = state["text_projection.weight"].T
    return found


def _open_clip_layer(
    state: Mapping[str, torch.Tensor], index: int, as_index: int
) -> Iterator[tuple[str, torch.Tensor]]:
    ours, theirs = f"encoder.layers.{index}.", f"transformer.resblocks.{as_index}."
    for end in ("weight", "bias"):
        fused = [state[f"{ours}self_attn.{one}_proj.{end}"] for one in "qkv"]
        yield f"{theirs}attn.in_proj_{end}", torch.cat(fused)
    for name, tensor in state.items():
        rest = name.removeprefix(ours)
        if name.startswith(ours) and not re.match(r"self_attn\.[qkv]_proj", rest):
            yield theirs + _renamed(rest, _OPEN_CLIP), tensor


def _renamed(rest: str, table: Mapping[str, str]) -> str:
    for ours, theirs in table.items():
        if rest.startswith(ours + "."):
            return theirs + rest.removeprefix(ours)
    return rest
