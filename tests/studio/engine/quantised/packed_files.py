"""Weights packed as makers' files have them, with what lies beside. What they mean is judged elsewhere."""

from __future__ import annotations

import torch

Tensors = dict[str, torch.Tensor]
_HALF = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


def int8(base: str, weight: torch.Tensor) -> Tensors:
    """As bitsandbytes has it."""
    largest = weight.abs().amax(dim=1)
    codes = (weight / largest[:, None] * 127).round().to(torch.int8)
    return {
        f"{base}.weight": codes,
        f"{base}.SCB": largest,
        f"{base}.weight_format": torch.zeros((), dtype=torch.uint8),
    }


def nvfp4(base: str, weight: torch.Tensor) -> Tensors:
    """As ComfyUI has it."""
    rows, columns = weight.shape
    every = weight.abs().max() / (6 * 448)
    blocks = weight.reshape(rows, columns // 16, 16)
    scales = (blocks.abs().amax(dim=2) / 6 / every).to(torch.float8_e4m3fn)
    small = blocks / (scales.float() * every).clamp(min=1e-12)[..., None]
    places = (small.abs()[..., None] - _HALF).abs().argmin(dim=-1) + 8 * (small < 0)
    pairs = places.reshape(rows, columns // 2, 2).to(torch.uint8)
    whole = torch.zeros(-(-rows // 128) * 128, -(-columns // 64) * 4, dtype=torch.uint8)
    whole[:rows, : columns // 16] = scales.view(torch.uint8)
    tiles = whole.reshape(-1, 4, 32, whole.shape[1] // 4, 4).permute(0, 3, 2, 1, 4)
    return {
        f"{base}.weight": pairs[..., 0] * 16 + pairs[..., 1],
        f"{base}.weight_scale": tiles.reshape(whole.shape).contiguous().view(torch.float8_e4m3fn),
        f"{base}.weight_scale_2": every,
    }
