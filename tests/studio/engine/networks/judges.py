"""Network files with random weights, and what LyCORIS, which trains them, says that they do.

LyCORIS's module for a layer gives both: the tensors that it would save, and the layer's weights with itself
merged in. Every number in it is random, so that no part counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lycoris.modules.boft import ButterflyOFTModule
from lycoris.modules.diag_oft import DiagOFTModule
from lycoris.modules.full import FullModule
from lycoris.modules.glora import GLoRAModule
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from lycoris.modules.norms import NormModule
from torch import Tensor, nn

from easel.models import Architecture
from easel.studio.engine.networks.names import UNET
from scripts.starter import layout

Tensors = dict[str, Tensor]
# How LyCORIS makes a module of each kind; rank 4, alpha 2.
KINDS: dict[str, Any] = {
    "lora": partial(LoConModule),
    "lora-cp": partial(LoConModule, use_tucker=True),
    "dora-rows": partial(LoConModule, weight_decompose=True, wd_on_out=True),
    "dora-columns": partial(LoConModule, weight_decompose=True, wd_on_out=False),
    "dora-cp": partial(LoConModule, weight_decompose=True, use_tucker=True),
    "loha": partial(LohaModule),
    "loha-tucker": partial(LohaModule, use_tucker=True),
    "loha-dora": partial(LohaModule, weight_decompose=True, wd_on_out=False),
    "lokr": partial(LokrModule, factor=4),
    "lokr-both": partial(LokrModule, factor=16, decompose_both=True),
    "lokr-whole": partial(LokrModule, full_matrix=True, factor=8),
    "lokr-tucker": partial(LokrModule, use_tucker=True, factor=4),
    "lokr-dora": partial(LokrModule, factor=4, weight_decompose=True),
    "glora": partial(GLoRAModule),
    "oft": partial(DiagOFTModule),
    "coft": partial(DiagOFTModule, constraint=0.001),
    "oft-rescaled": partial(DiagOFTModule, rescaled=True),
    "boft": partial(ButterflyOFTModule, rescaled=True),
    "ia3-input": partial(IA3Module, train_on_input=True),
    "ia3-output": partial(IA3Module, train_on_input=False),
    "full": partial(FullModule),
}  # fmt: skip


@dataclass
class Judged:
    """What a file says of one layer, and the weight and bias that the layer has with it."""

    part: str
    path: str
    tensors: Tensors
    weight: Tensor
    bias: Tensor | None


def judged(kind: str, part: str, path: str, layer: nn.Module) -> Judged:
    """A module of this kind for the layer; for a norm always LyCORIS's module for norms."""
    if isinstance(layer, nn.LayerNorm | nn.GroupNorm):
        module: Any = NormModule("x", layer)
    else:
        rank = 8 if kind == "boft" else 4
        module = KINDS[kind]("x", layer, 1.0, rank, 2.0)
    with torch.no_grad():
        for one in module.parameters():
            one.normal_(std=0.2)
        if hasattr(module, "dora_scale"):
            module.dora_scale.abs_().add_(0.5)
        if hasattr(module, "rescale"):
            module.rescale.add_(1.0)
        saved = module.custom_state_dict() or module.state_dict()
        if kind == "full" and not isinstance(module, NormModule):
            saved = {"diff": module.weight} | ({"diff_b": module.bias} if module.bias is not None else {})
        weight, bias = _merged(module, layer)
        if bias is None and layer.bias is not None:
            bias = layer.bias
        shape = layer.weight.shape
        return Judged(part, path, {name: one.detach().clone().contiguous() for name, one in saved.items()},
                      weight.reshape(shape).clone(), None if bias is None else bias.clone())  # fmt: skip


def _merged(module: Any, layer: nn.Module) -> tuple[Tensor, Tensor | None]:
    if not isinstance(module, LohaModule | LokrModule):
        return module.get_merged_weight()
    # Release 4.1 takes LoHa's alpha twice when it merges, unlike when it trains, and adds a flat difference
    # to a convolution's weight.
    merged = layer.weight + module.get_weight(layer.weight.shape) * module.scalar
    return module.apply_weight_decompose(merged) if module.wd else merged, None


def layers(parts: Any, *, norms: bool) -> Iterator[tuple[str, str, nn.Module]]:
    """One of each sort that a checkpoint has: part, path, layer."""
    wanted = ["attn2.to_k", "attn1.to_out.0", "ff.net.2", "conv1", "conv_shortcut", "downsamplers.0.conv",
              "proj_in", "time_emb_proj", "conv_in", "mlp.fc1", "self_attn.q_proj"]  # fmt: skip
    wanted += ["norm1", "norm2", "conv_norm_out", "final_layer_norm"] if norms else []
    tops = [(UNET, parts.backbone)] + [
        (f"text_encoder_{n}", one) for n, one in enumerate(parts.text_encoders)
    ]
    for part, top in tops:
        for end in wanted:
            for path, layer in reversed(list(top.named_modules())):
                if path.endswith(end) and getattr(layer, "weight", None) is not None:
                    yield part, path, layer
                    break


def kohya_names(architecture: Architecture, parts: Any) -> dict[tuple[str, str], str]:
    """kohya's name of each layer; for SDXL with the original code's blocks, as published files have them."""
    found = {}
    paths = {id(one): name for name, one in parts.backbone.named_modules()}
    if architecture in (Architecture.SDXL, Architecture.SDXL_REFINER):
        owners = {one.weight.data_ptr(): paths[id(one)] for one in parts.backbone.modules()
                  if getattr(one, "weight", None) is not None}  # fmt: skip
        for name, one in layout.unet(parts.backbone).items():
            if name.endswith(".weight") and one.data_ptr() in owners:
                base = name.removesuffix(".weight").replace(".", "_")
                found[UNET, owners[one.data_ptr()]] = f"lora_unet_{base}"
    else:
        for path in paths.values():
            found[UNET, path] = "lora_unet_" + path.replace(".", "_")
    return found | _text_names(parts)


def onetrainer_names(parts: Any) -> dict[tuple[str, str], str]:
    """OneTrainer's: like kohya's, with diffusers' block names for SDXL too."""
    unet = {(UNET, path): "lora_unet_" + path.replace(".", "_") for path, _ in parts.backbone.named_modules()}
    return unet | _text_names(parts)


def diffusers_names(parts: Any) -> dict[tuple[str, str], str]:
    """diffusers' and PEFT's: the path as it is, behind the part."""
    found = {(UNET, path): f"unet.{path}" for path, _ in parts.backbone.named_modules()}
    for number, top in enumerate(parts.text_encoders):
        prefix = "text_encoder_2." if number else "text_encoder."
        found |= {
            (f"text_encoder_{number}", path): prefix + _old_text(path) for path, _ in top.named_modules()
        }
    return found


def _text_names(parts: Any) -> dict[tuple[str, str], str]:
    found = {}
    for number, top in enumerate(parts.text_encoders):
        prefix = "lora_te_" if len(parts.text_encoders) == 1 else f"lora_te{number + 1}_"
        for path, _ in top.named_modules():
            found[f"text_encoder_{number}", path] = prefix + _old_text(path).replace(".", "_")
    return found


def _old_text(path: str) -> str:
    """With the level that CLIPTextModel had when files were written."""
    return path if path.startswith(("text_model.", "text_projection")) else f"text_model.{path}"


def file_tensors(found: list[Judged], names: dict[tuple[str, str], str]) -> Tensors:
    """The file: each layer's tensors behind its name."""
    return {f"{names[one.part, one.path]}.{role}": tensor
            for one in found for role, tensor in one.tensors.items()}  # fmt: skip
