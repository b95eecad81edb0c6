"""Every family that predicts a flow, small: published configurations with narrow layers, random weights, in
a folder as diffusers saves it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from easel.models import Architecture, Kind, ModelFile, folder_state
from easel.studio.engine.checkpoints.skeleton import Skeleton, skeleton
from easel.studio.families import HERE, Family, read_family
from tests.studio.engine.text_models.test_mistral3 import tekken
from tests.studio.engine.text_models.tiny_encoders import T5_WIDTH, narrow, qwen25_vl_with_tiny_sight

FLOWS = [one for one in Architecture if one.flow]
_EVERY_DAY = {
    Architecture.SD3, Architecture.FLUX_DEV, Architecture.FLUX_FILL, Architecture.Z_IMAGE_TURBO,
    Architecture.FLUX2_KLEIN_4B, Architecture.QWEN_IMAGE_EDIT,
}  # fmt: skip
FLOWS_BY_DAY = [
    pytest.param(one, marks=[] if one in _EVERY_DAY else [pytest.mark.slow], id=one.value) for one in FLOWS
]
"""One of each kind every day, their relatives in the long run."""
SIDE = 64
"""What the small ones are said to be trained at, in pixels."""
_FLUX = {
    "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16, "num_attention_heads": 2,
    "joint_attention_dim": T5_WIDTH, "axes_dims_rope": [4, 4, 8],
}  # fmt: skip
_TRANSFORMERS: dict[str, dict[str, Any]] = {
    "sd3": {"num_layers": 2, "attention_head_dim": 16, "num_attention_heads": 2, "caption_projection_dim": 32,
            "joint_attention_dim": T5_WIDTH, "pooled_projection_dim": 40},
    "flux": {**_FLUX, "pooled_projection_dim": 16},
    "chroma": {**_FLUX, "approximator_num_channels": 8, "approximator_hidden_dim": 16,
               "approximator_layers": 2},
    "z-image": {"dim": 48, "n_layers": 1, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2,
                "cap_feat_dim": 32, "axes_dims": [8, 8, 8]},
    "flux2": {"num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16, "num_attention_heads": 2,
              "joint_attention_dim": 96, "axes_dims_rope": [4, 4, 4, 4]},
    "qwen-image": {"num_layers": 3, "attention_head_dim": 16, "num_attention_heads": 2,
                   "joint_attention_dim": 32, "axes_dims_rope": [4, 6, 6]},
}  # fmt: skip
_FILES = {"transformer": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}


@dataclass
class TinyFlow:
    """A shrunk family, its modules with random weights, and the folder that holds them."""

    family: Family
    bones: Skeleton
    file: ModelFile


def tiny_flow(architecture: Architecture, folder: Path, seed: int = 0) -> TinyFlow:
    """A tiny one of this family; its configuration and weights are written below `folder`."""
    family = shrink(architecture, folder / architecture.value)
    bones = skeleton(family)
    parts = {"transformer": bones.backbone, "vae": bones.vae}
    parts |= {
        one.folder: module for one, module in zip(family.text_encoders, bones.text_encoders, strict=True)
    }
    for name, module in parts.items():
        # so few layers of these would hardly show what was said
        quiet = architecture.family == "qwen-image" or architecture is Architecture.FLUX2
        loud = 1.6 if name == "transformer" and quiet else 1.0
        tensors = {key: one.contiguous() for key, one in random_tensors(module, seed, loud).items()}
        save_file(tensors, family.folder / name / f"{_FILES.get(name, 'model')}.safetensors")
    size, changed = folder_state(family.folder)
    file = ModelFile(family.folder, architecture.value, Kind.CHECKPOINT, size, changed)
    return TinyFlow(family, bones, file)


def random_tensors(module: Any, seed: int, loud: float) -> dict[str, torch.Tensor]:
    """Such that what is drawn depends on all that is said."""
    made = torch.Generator().manual_seed(seed)
    found = {}
    for name, one in module.state_dict().items():
        if not one.is_floating_point():
            found[name] = torch.zeros(one.shape, dtype=one.dtype)
            continue
        spread = 0.1 if one.dim() < 2 else 0.7 * loud * one[0].numel() ** -0.5
        about = 1.0 if one.dim() == 1 and name.endswith(("weight", "running_var", "gamma")) else 0.0
        found[name] = (
            (about + spread * torch.randn(one.shape, generator=made)).abs()
            if "var" in name
            else (about + spread * torch.randn(one.shape, generator=made))
        )
    return found


def shrink(architecture: Architecture, folder: Path) -> Family:
    """The published configuration with narrow layers."""
    shutil.copytree(HERE / architecture.value, folder, dirs_exist_ok=True)
    family = read_family(folder, architecture)
    change = dict(_TRANSFORMERS[architecture.family])
    if architecture is Architecture.FLUX2_KLEIN_9B:
        change["joint_attention_dim"] = 120
    _change(folder / "transformer/config.json", change)
    for one in family.text_encoders:
        sees = family.flow is not None and family.flow.needs_picture
        small = qwen25_vl_with_tiny_sight() if sees else narrow(one.role)
        (folder / one.folder / "config.json").write_text(json.dumps(small))
        if one.role == "mistral-small-24b":  # which brings its vocabulary along
            (folder / one.folder / "tekken.json").write_bytes(tekken())
    vae = _read(folder / "vae/config.json")
    small = {"base_dim": 8}
    if "base_dim" not in vae:  # two channels a group: of one a plain colour has no spread to be measured by
        small = {"block_out_channels": [32] * 4, "norm_num_groups": 16, "sample_size": SIDE}
    _change(folder / "vae/config.json", small)
    _change(folder / "drawing.json", {"native": SIDE})
    return read_family(folder, architecture)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def _change(path: Path, changes: dict[str, Any]) -> None:
    path.write_text(json.dumps({**_read(path), **changes}))
