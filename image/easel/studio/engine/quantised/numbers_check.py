"""Numbers that others are multiplied with must be numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from easel.models import Incomplete


def check_finite(file: str, name: str, numbers: Tensor) -> Tensor:
    """The same numbers. Raises Incomplete for infinity and for what is none."""
    if not bool(torch.isfinite(numbers).all()):
        raise Incomplete(file, f"{name} holds numbers that are none; download it again")
    return numbers
