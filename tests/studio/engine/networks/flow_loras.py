"""LoRA files for the tiny transformers, in the spellings of their trainers, and what they have to do."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from easel.models import Architecture, Kind
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.networks.extra_networks import LoraUse
from easel.studio.engine.networks.lora_tag import read_tag
from easel.studio.engine.transformers.model import TransformerInputs
from easel.studio.engine.transformers.table import transformer_of
from tests.studio.engine.tiny import model_file
from tests.studio.engine.tiny_flow import tiny_flow
from tests.studio.engine.transformers.published_files import published

RANK, ALPHA = 3, 2.0
SPELLINGS = ("kohya", "kohya-diffusers", "comfyui", "peft")
_HEADS = {"kohya": "lora_unet_{}", "kohya-diffusers": "lora_unet_{}", "comfyui": "diffusion_model.{}",
          "peft": "transformer.{}"}  # fmt: skip
# Of the families that published_files.py does not know: published layers, and of which modules they are.
_FLUX2 = {
    "double_blocks.0.img_attn.qkv": tuple(f"transformer_blocks.0.attn.to_{one}" for one in "qkv"),
    "double_blocks.0.txt_attn.qkv": tuple(f"transformer_blocks.0.attn.add_{one}_proj" for one in "qkv"),
    "double_blocks.0.img_attn.proj": ("transformer_blocks.0.attn.to_out.0",),
    "double_blocks.0.txt_mlp.0": ("transformer_blocks.0.ff_context.linear_in",),
    "single_blocks.0.linear1": ("single_transformer_blocks.0.attn.to_qkv_mlp_proj",),
    "single_blocks.0.linear2": ("single_transformer_blocks.0.attn.to_out",),
    "single_stream_modulation.lin": ("single_stream_modulation.linear",),
    "final_layer.adaLN_modulation.1": ("norm_out.linear",),
}
_Z_IMAGE = {
    "layers.0.attention.qkv": tuple(f"layers.0.attention.to_{one}" for one in "qkv"),
    "layers.0.attention.out": ("layers.0.attention.to_out.0",),
    "context_refiner.0.attention.qkv": tuple(f"context_refiner.0.attention.to_{one}" for one in "qkv"),
    "noise_refiner.0.feed_forward.w1": ("noise_refiner.0.feed_forward.w1",),
    "final_layer.linear": ("all_final_layer.2-1.linear",),
}


@dataclass
class Written:
    """A file's tensors, and what is added to each weight with it at full weight, by the module's name."""

    tensors: dict[str, torch.Tensor]
    added: Mapping[str, torch.Tensor]


def checkpoint(architecture: Architecture, folder: Path) -> Checkpoint:
    """A tiny one, loaded as any other."""
    made = tiny_flow(architecture, folder)
    return load_checkpoint(made.file, device=torch.device("cpu"), dtype=torch.float32, family=made.family)


def layers(whole: Checkpoint, spelling: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """The names that a trainer finds, and the shapes of their matrices."""
    linear = {name: (one.out_features, one.in_features) for name, one in whole.backbone.named_modules()
              if isinstance(one, torch.nn.Linear)}  # fmt: skip
    family = whole.family.architecture.family
    if spelling in ("peft", "kohya-diffusers") or family == "qwen-image":
        yield from linear.items()
    elif family in ("flux2", "z-image"):
        for name, modules in (_FLUX2 if family == "flux2" else _Z_IMAGE).items():
            yield name, (sum(linear[one][0] for one in modules), linear[modules[0]][1])
    else:
        for key, tensor in published(whole.family.name, whole.backbone).items():
            if key.endswith(".weight") and tensor.dim() == 2:
                yield key.removesuffix(".weight"), (tensor.shape[0], tensor.shape[1])


def written(whole: Checkpoint, spelling: str, seed: int = 0) -> Written:
    """A LoRA over all of the transformer. What it adds goes the way of a published file's own weights."""
    made = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    products: dict[str, torch.Tensor] = {}
    for name, (tall, wide) in layers(whole, spelling):
        down = torch.randn((RANK, wide), generator=made) * 0.3 * wide**-0.5
        up = torch.randn((tall, RANK), generator=made)
        base = _HEADS[spelling].format(name.replace(".", "_") if "kohya" in spelling else name)
        if spelling == "peft":
            tensors |= {f"{base}.lora_A.weight": down, f"{base}.lora_B.weight": up}
        else:
            tensors |= {f"{base}.lora_down.weight": down, f"{base}.lora_up.weight": up}
            tensors[f"{base}.alpha"] = torch.tensor(ALPHA)
        products[f"{name}.weight"] = up @ down * (1.0 if spelling == "peft" else ALPHA / RANK)
    found = transformer_of(whole.family.architecture).convert(products, whole.backbone)
    return Written(tensors, {name.removesuffix(".weight"): one for name, one in found.items()})


def use(path: Path, tensors: Mapping[str, torch.Tensor], said: str = "1") -> LoraUse:
    """The file with these tensors, as `<lora:name:said>` asks for it."""
    save_file(dict(tensors), path)
    read = read_tag(f"{path.stem}:{said}")
    return LoraUse(path.stem, model_file(path, Kind.LORA), read.te, read.unet, read.limits)


@torch.no_grad()
def merged(whole: Checkpoint, added: Mapping[str, torch.Tensor], weight: float) -> Checkpoint:
    """A checkpoint that has it in its weights."""
    network = copy.deepcopy(whole.backbone)
    for name, one in added.items():
        network.get_submodule(name).weight += weight * one
    return replace(whole, backbone=network)


def inputs(whole: Checkpoint, rows: int) -> TransformerInputs:
    """Of random numbers."""
    made = torch.Generator().manual_seed(3)
    empty = transformer_of(whole.family.architecture).empty_inputs(whole.backbone, 8, 8, 6)

    def some(one: torch.Tensor | None) -> Any:
        if one is None:
            return None
        shape = (rows, *one.shape[1:])
        return (
            torch.ones(shape, dtype=torch.bool)
            if one.dtype is torch.bool
            else torch.randn(shape, generator=made)
        )

    given = {name: some(getattr(empty, name))
             for name in ("latents", "tokens", "mask", "pooled", "guidance", "extra")}  # fmt: skip
    return TransformerInputs(shares=torch.linspace(0.9, 0.3, rows), **given)


@torch.no_grad()
def velocity(whole: Checkpoint, given: TransformerInputs) -> torch.Tensor:
    """What it answers."""
    return transformer_of(whole.family.architecture).velocity(whole.backbone, given)
