"""A reference control in one pass of one picture: what the UNet is shown in each call."""

from __future__ import annotations

from collections.abc import Hashable
from math import sqrt

import torch

from easel.models import Architecture
from easel.studio.engine.control.preprocessors import Pixels, preprocessor
from easel.studio.engine.control.unit import ControlMode, ControlUnit
from easel.studio.engine.control_models.reference_attention import ReferenceShare, ShownReference
from easel.studio.engine.sampling.levels import NoiseLevels

# The extension's: SDXL's attentions do not stand much of it.
_SDXL_POWER = 3


def for_vae(pixels: Pixels) -> torch.Tensor:
    """A picture as a VAE takes it: (1, 3, height, width), -1 to 1."""
    shown = torch.from_numpy(pixels.copy()).float()
    return (shown / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


class ReferenceOfPass:
    """One unit in one pass of one picture; `latents` (1, channels, height/8, width/8) are its picture's."""

    def __init__(
        self,
        unit: ControlUnit,
        latents: torch.Tensor,
        architecture: Architecture,
        seed: int,
        *,
        second_pass: bool,
    ) -> None:
        """Its noise is of the `seed` of its own, so that a picture is the same each time."""
        self._unit, self._latents = unit, latents
        self._noise = torch.Generator().manual_seed(seed)
        self._share = _share(unit, architecture, second_pass=second_pass)
        self.kind: Hashable = self._share
        """What has to be equal for two pictures' units to be run as one."""

    def at_work(self, share: float) -> bool:
        """Whether it counts where `share` of the pass's steps are done."""
        return self._unit.guidance_start <= share <= self._unit.guidance_end

    def of_call(self, levels: NoiseLevels, timestep: float, rows: int, positive: int) -> ShownReference:
        """Its part of a call of `rows`, the last `positive` of them for prompts to draw towards."""
        kept = levels.kept(round(timestep))
        noise = torch.randn(self._latents.shape, generator=self._noise).to(self._latents)
        noisy = sqrt(kept) * self._latents + sqrt(1 - kept) * noise
        negative = torch.arange(rows, device=noisy.device) < rows - positive
        return ShownReference(noisy, self._latents, negative, self._share)


def _share(unit: ControlUnit, architecture: Architecture, *, second_pass: bool) -> ReferenceShare:
    way = preprocessor(unit.module)
    fidelity = way.own_a(unit.threshold_a)
    if architecture in (Architecture.SDXL, Architecture.SDXL_REFINER):
        fidelity **= _SDXL_POWER
    if unit.control_mode is ControlMode.CONTROL:
        fidelity = 1.0
    elif unit.control_mode is ControlMode.PROMPT or second_pass:
        fidelity = 0.0
    return ReferenceShare(
        attends=way.module != "reference_adain",
        moments=way.module != "reference_only",
        weight=unit.weight,
        fidelity=fidelity,
    )
