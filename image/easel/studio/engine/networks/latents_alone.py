"""Networks for a checkpoint's first convolution, on an inpainting checkpoint.

An inpainting UNet sees mask and masked picture beside the latents. A network that was trained on a checkpoint
without them changes what the latents do, and what the others do stays (as in A1111).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from easel.studio.engine.networks.layer import Change
from easel.studio.engine.networks.shapes import Shape, Shapes

LATENTS, INPAINTING = 4, 9


@dataclass(frozen=True)
class LatentsAlone:
    """`inner`, of the latents' channels."""

    inner: Change

    @property
    def scale(self) -> float:
        """That of `inner`."""
        return self.inner.scale

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """What `inner` adds for them."""
        return self.inner.added(layer, seen[:, :LATENTS], output)


def shape_in_training(found: Shapes, weight: Shape) -> Shape:
    """The shape of a layer's weight as the network's tensors have it: as it is, or of the latents alone."""
    alone = any(found.get(role, ())[1:2] == (LATENTS,) for role in ("down", "diff"))
    whole = {"dora_scale", "magnitude"} & found.keys()
    if len(weight) == 4 and weight[1] == INPAINTING and alone and not whole:
        return (weight[0], LATENTS, *weight[2:])
    return weight
