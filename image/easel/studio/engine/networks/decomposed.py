"""DoRA: the changed weight's direction, with a length of its own (Liu et al., arXiv 2402.09353).

    W' = m · (W + ΔW) / ‖W + ΔW‖

m is a number for each row (LyCORIS's `wd_on_out`, PEFT) or each column (kohya, A1111); its shape tells. With
f = m / ‖W + ΔW‖, once computed, nothing of the size of W is kept: by rows
W'x - Wx = (f - 1) ∘ Wx + f ∘ ΔWx, and by columns it is W((f - 1) ∘ x) + ΔW(f ∘ x).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from easel.studio.engine.networks.layer import (
    Difference,
    by_channel,
    run,
    weight_in_float,
    without_bias,
)


@dataclass(frozen=True)
class Decomposed:
    """`inner` is ΔW; `factor` is f - 1, a number for each channel of the output or (`of_input`) the input."""

    inner: Difference
    factor: Tensor
    of_input: bool
    scale: float = 1.0

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """(W' - W) · x."""
        less = by_channel(layer, self.factor)
        if self.of_input:
            inner = self.inner.added(layer, seen * (less + 1), output)
            return torch.add(run(layer, seen * less, layer.weight), inner, alpha=self.inner.scale)
        inner = self.inner.added(layer, seen, output)
        return without_bias(layer, output) * less + inner * (less + 1) * self.inner.scale


def decompose(inner: Difference, layer: Any, magnitude: Tensor, *, of_input: bool) -> Decomposed:
    """A DoRA of `inner` for this layer; `magnitude` has a number for each channel, float32."""
    weight = weight_in_float(layer)
    changed = weight + inner.matrix(layer).float() * inner.scale
    rows = changed.transpose(0, 1) if of_input else changed
    lengths = rows.flatten(1).norm(dim=1) + torch.finfo(torch.float32).eps
    factor = magnitude.flatten().to(lengths) / lengths - 1
    return Decomposed(inner, factor.to(layer.weight.dtype), of_input)
