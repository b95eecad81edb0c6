"""The type of numbers that a device draws in."""

from __future__ import annotations

import torch

PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def precision(word: str, device: torch.device) -> torch.dtype:
    """By its name; "auto" and whatever is no name is half precision on a GPU, single on a CPU."""
    usual = torch.float16 if device.type == "cuda" else torch.float32
    return PRECISIONS.get(word, usual)
