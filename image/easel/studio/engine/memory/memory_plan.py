"""How a checkpoint and its pictures go into the memory of a device: computed before anything is tried.

Everything here is arithmetic on bytes. Weights that do not fit beside what drawing takes wait in main memory
and come to the device for the moment of their use, layer by layer (`offload`): first those of text encoders
and VAE, which are used once for a picture, then the backbone's (UNet's or transformer's), which are used at
every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from easel.studio.engine.widths.batch_width import BUCKETS


class WeightPlacement(IntEnum):
    """Whose weights are on the device for good; the fastest first."""

    WHOLE = 0
    BACKBONE = 1
    NOTHING = 2

    @property
    def words(self) -> str:
        """For people."""
        return _WORDS[self]


_WORDS = {
    WeightPlacement.WHOLE: "all of it on the device",
    WeightPlacement.BACKBONE: "the diffusion model on the device, text encoders and VAE layer by layer",
    WeightPlacement.NOTHING: "all of it layer by layer",
}


@dataclass(frozen=True)
class WeightBytes:
    """What a checkpoint's weights take on the device; `layer` is the largest single layer's, `expanding` what
    it takes for the moment to expand one that is packed (`quantised`)."""

    text_encoders: int
    backbone: int
    vae: int
    layer: int
    expanding: int = 0

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return self.text_encoders + self.backbone + self.vae

    def resident(self, placement: WeightPlacement) -> int:
        """Bytes on the device while nothing is drawn, the layer that was used last with it."""
        if placement is WeightPlacement.WHOLE:
            return self.total
        return self.layer + (self.backbone if placement is WeightPlacement.BACKBONE else 0)


@dataclass(frozen=True)
class DrawingBytes:
    """What drawing takes beside the weights: `call` a backbone call for one picture, `vae` its way through
    the VAE by each way to go there, the largest first, `fixed` what kernels take whatever is drawn, and what
    else has to be there with the checkpoint."""

    call: int
    vae: tuple[int, ...]
    fixed: int = 0


@dataclass(frozen=True)
class MemoryPlan:
    """`width` pictures in a backbone call, the VAE by the way of this number, `need` bytes at the most,
    `resident` of them for good."""

    placement: WeightPlacement
    vae_way: int
    width: int
    need: int
    resident: int

    @property
    def slowness(self) -> tuple[int, int, int]:
        """Plans in the order of their speed: moving weights costs more than tiles, and those more than calls
        for fewer pictures."""
        return self.placement, self.vae_way, -self.width


def need(
    weights: WeightBytes, drawing: DrawingBytes, placement: WeightPlacement, vae_way: int = -1, width: int = 1
) -> int:
    """Bytes on the device at the most. A picture half-way through the VAE waits there while another one's
    backbone call is made, so that both count."""
    drawn = drawing.fixed + drawing.call * width + drawing.vae[vae_way]
    return weights.resident(placement) + weights.expanding + drawn


def plan(
    weights: WeightBytes, drawing: DrawingBytes, free: int, *, apart: bool, widths: tuple[int, ...] = BUCKETS
) -> MemoryPlan | None:
    """The fastest that fits into `free` bytes; None where nothing does. `apart`: the device's memory is apart
    from the machine's, so that weights can wait there."""
    for placement in WeightPlacement if apart else (WeightPlacement.WHOLE,):
        for way in range(len(drawing.vae)):
            fitting = [one for one in widths if need(weights, drawing, placement, way, one) <= free]
            if fitting:
                width = max(fitting)
                taken = need(weights, drawing, placement, way, width)
                return MemoryPlan(placement, way, width, taken, weights.resident(placement))
    return None
