"""What the engine wants of a family's transformer, whatever is inside.

All of these families are trained on straight paths between picture and noise, `x = (1 - s)·picture + s·noise`
(rectified flow, arXiv 2209.03003; Stable Diffusion 3, arXiv 2403.03206), and answer with the velocity along
them, `noise - picture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from easel.studio.engine.transformers.lora_names import LoraPlaces


@dataclass(frozen=True, eq=False)
class TransformerInputs:
    """One call, of one row for each text of each picture in it.

    `latents` (rows, channels, height, width) as the VAE's side scales them, not yet cut into patches, in the
    network's type; `shares` of noise (rows,), float32, from 1 (noise alone) to 0. `tokens` (rows, tokens,
    width) is what the texts became, `mask` (rows, tokens) True where one counts (None: all do), `pooled`
    (rows, width) where the family wants it. `guidance` (rows,), float32, is the scale that a distilled model
    is told. `extra` are channels beside the latents, (rows, n, height, width): mask and masked picture.
    `references` are latents of pictures to be looked at, each (1, channels, height, width) of a size of its
    own, the same for all rows.
    """

    latents: torch.Tensor
    shares: torch.Tensor
    tokens: torch.Tensor
    mask: torch.Tensor | None = None
    pooled: torch.Tensor | None = None
    guidance: torch.Tensor | None = None
    extra: torch.Tensor | None = None
    references: tuple[torch.Tensor, ...] = ()


class TransformerModel(Protocol):
    """One family's way with its transformer. Without state: the network is given."""

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """The module of diffusers' with this configuration, on the meta device."""

    def convert(self, tensors: Mapping[str, torch.Tensor], network: Any) -> dict[str, torch.Tensor]:
        """A file's tensors under the module's names: of a single file as it was published, with or without
        the checkpoint prefix `model.diffusion_model.`, or of diffusers' layout. Works on tensors that have
        shapes alone (`conversion.Traced`) as well."""

    def empty_inputs(self, network: Any, height: int, width: int, tokens: int) -> TransformerInputs:
        """A call of one row without numbers, for latents of this size and a text of so many tokens, in the
        network's type and on its device, which may be "meta": for counting what a call takes."""

    def lora_places(self, network: Any) -> LoraPlaces:
        """Which of the network's modules each layer of a LoRA's file is for."""

    def velocity(self, network: Any, inputs: TransformerInputs) -> torch.Tensor:
        """What the network answers, (rows, channels, height, width): `noise - picture`, of each row as it
        would be alone."""
