"""Every family, small: the published configuration with narrow layers, random weights, in one file."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from easel.models import Architecture, Kind, ModelFile
from easel.studio.families import HERE, Family, read_family
from tests.studio.engine import export

PUBLISHED = [one for one in Architecture if not one.flow and one is not Architecture.STARTER]
_RELATIVES = {Architecture.SD2, Architecture.SD2_INPAINT, Architecture.SDXL_INPAINT}
PUBLISHED_BY_DAY = [
    pytest.param(one, marks=[pytest.mark.slow] if one in _RELATIVES else [], id=one.value)
    for one in PUBLISHED
]
"""Each network, prediction and way to inpaint every day; what joins those of two others in the long run."""


@dataclass
class Tiny:
    """A shrunk family, its modules with random weights, and the tensors of its checkpoint."""

    family: Family
    modules: Any

    def tensors(self, layout: export.Layout | None = None) -> dict[str, torch.Tensor]:
        return export.checkpoint(self.modules, layout)

    def write(
        self, path: Path, layout: export.Layout | None = None, dtype: torch.dtype | None = None
    ) -> ModelFile:
        tensors = self.tensors(layout)
        if dtype is not None:
            tensors = {
                name: one.to(dtype) if one.is_floating_point() else one for name, one in tensors.items()
            }
        save_file(tensors, path)
        return model_file(path)


def tiny(architecture: Architecture, folder: Path, seed: int = 0) -> Tiny:
    """A tiny one of this family; its configuration is written below `folder`."""
    family = shrink(architecture, folder / architecture.value)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Tiny(family, build(family))


def model_file(path: Path, kind: Kind = Kind.CHECKPOINT) -> ModelFile:
    status = path.stat()
    return ModelFile(path, path.name, kind, status.st_size, status.st_mtime)


def build(family: Family) -> Any:
    """Modules of a family, built the ordinary way, on the current default device."""
    unet = UNet2DConditionModel.from_config(_read(family.folder / "unet/config.json"))
    vae = AutoencoderKL.from_config(_read(family.folder / "vae/config.json"))
    encoders = []
    for one in family.text_encoders:
        config = CLIPTextConfig(**_read(family.folder / one.folder / "config.json"))
        encoders.append(CLIPTextModelWithProjection(config) if one.projected else CLIPTextModel(config))
    for module in (unet, vae, *encoders):
        module.eval()
    return SimpleNamespace(backbone=unet, vae=vae, text_encoders=tuple(encoders))


def shrink(architecture: Architecture, folder: Path) -> Family:
    """The published configuration with narrow layers. Depth and kinds of blocks stay: they make the names."""
    shutil.copytree(HERE / architecture.value, folder, dirs_exist_ok=True)
    widths = []
    for name in ("text_encoder", "text_encoder_2"):
        if (folder / name).exists():
            width = 32 if name == "text_encoder" else 48
            layers = 3 if architecture.value.startswith("sd2") else 2
            change = {"hidden_size": width, "intermediate_size": 64, "num_attention_heads": 2,
                      "num_hidden_layers": layers, "projection_dim": width}  # fmt: skip
            _change(folder / name / "config.json", change)
            widths.append(width)
    unet = _read(folder / "unet/config.json")
    blocks = len(unet["block_out_channels"])
    heads = 2 if isinstance(unet["attention_head_dim"], int) else [1, 2, 2, 2][:blocks]
    channels = [32, 64, 64, 64][:blocks]
    change = {"block_out_channels": channels, "cross_attention_dim": sum(widths), "sample_size": 8,
              "attention_head_dim": heads}  # fmt: skip
    if unet.get("addition_embed_type") == "text_time":
        numbers = 5 if architecture is Architecture.SDXL_REFINER else 6
        change["addition_time_embed_dim"] = 8
        change["projection_class_embeddings_input_dim"] = widths[-1] + numbers * 8
        change["transformer_layers_per_block"] = [1, 1, 2][:blocks] if blocks == 3 else 1
    _change(folder / "unet/config.json", change)
    _change(folder / "vae/config.json", {"block_out_channels": [32] * 4, "sample_size": 64})
    return read_family(folder, architecture)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def _change(path: Path, changes: dict[str, Any]) -> None:
    path.write_text(json.dumps({**_read(path), **changes}))
