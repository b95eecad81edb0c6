"""Upscalers in the layouts that are published, narrow, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]


def rrdb(features: int = 8, growth: int = 32, blocks: int = 1) -> Tensors:
    """ESRGAN ×4 as Real-ESRGAN publishes it (`RealESRGAN_x4plus`): BasicSR's names."""
    made: Tensors = {}
    _conv(made, "conv_first", 3, features)
    for block in range(blocks):
        for dense in (1, 2, 3):
            for conv in range(1, 6):
                out = features if conv == 5 else growth
                _conv(made, f"body.{block}.rdb{dense}.conv{conv}", features + growth * (conv - 1), out)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        _conv(made, name, features, features)
    _conv(made, "conv_last", features, 3)
    return made


def compact(features: int = 8, convs: int = 2, scale: int = 2) -> Tensors:
    """SRVGG as Real-ESRGAN publishes it (`realesr-animevideov3`): convolutions, and a PReLU behind each."""
    made: Tensors = {}
    _conv(made, "body.0", 3, features)
    for number in range(convs):
        made[f"body.{2 * number + 1}.weight"] = torch.full((features,), 0.25)
        _conv(made, f"body.{2 * number + 2}", features, features)
    made[f"body.{2 * convs + 1}.weight"] = torch.full((features,), 0.25)
    _conv(made, f"body.{2 * convs + 2}", features, 3 * scale**2)
    return made


def swinir() -> Tensors:
    """SwinIR ×2 with windows of 8, as spandrel builds it."""
    from spandrel.architectures.SwinIR import SwinIR

    return dict(SwinIR(
        img_size=64, window_size=8, depths=[2], embed_dim=12, num_heads=[2], mlp_ratio=2, upscale=2,
        upsampler="nearest+conv", img_range=1.0, resi_connection="1conv",
    ).state_dict())  # fmt: skip


def dat() -> Tensors:
    """DAT ×2, as spandrel builds it."""
    from spandrel.architectures.DAT import DAT

    return dict(DAT(
        img_size=64, split_size=[8, 8], depth=[2], embed_dim=32, num_heads=[4], expansion_factor=2, upscale=2,
        upsampler="pixelshuffledirect",
    ).state_dict())  # fmt: skip


def write(path: Path, tensors: Tensors) -> Path:
    """As a safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: one.contiguous().clone() for name, one in tensors.items()}, path)
    return path


def _conv(made: Tensors, name: str, inputs: int, outputs: int) -> None:
    made[f"{name}.weight"] = torch.randn(outputs, inputs, 3, 3) / (inputs * 9) ** 0.5
    made[f"{name}.bias"] = torch.randn(outputs) * 0.05
