"""A checkpoint in memory: everything that turns words into pictures, from one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from easel.models import ModelFile
from easel.studio.engine.checkpoints.shared_parts import PartKeys
from easel.studio.engine.memory.memory_plan import MemoryPlan
from easel.studio.engine.memory.offload import Offload
from easel.studio.families import Family


@dataclass
class Checkpoint:
    """The modules of one checkpoint, on `device` in `dtype`, ready to draw.

    `backbone` is the UNet or the transformer that draws.
    `text_encoders` and `tokenizers` go together, but for a transformer, whose encoders bring theirs along;
    of its encoders one that it does without is None, and `vocabularies` are the tokenizers that come with
    files, by roles. `nbytes` is what the weights take. `vae` may have been
    loaded from another file; its own `dtype` counts for what it is given, for it may be changed where half
    precision overflows. It is None where the file holds none that can be used, and `vae_problem` says why.
    `notes` are sentences for who draws, on what the file says and what of it does not count. `plan` is how it
    goes into the device's memory; what is in `offload` waits in main memory. `part_keys` tell parts
    that other checkpoints have too (`shared_parts`); of one with a UNet there are none.
    """

    file: ModelFile
    family: Family
    backbone: Any
    vae: Any
    text_encoders: tuple[Any, ...]
    tokenizers: tuple[Any, ...]
    device: torch.device
    dtype: torch.dtype
    nbytes: int
    vae_problem: str = ""
    notes: tuple[str, ...] = ()
    vocabularies: Mapping[str, Any] = field(default_factory=dict)
    plan: MemoryPlan | None = None
    part_keys: PartKeys = ()
    offload: Offload | None = None

    @property
    def parts(self) -> tuple[Any, ...]:
        """All of them, in the order of `Skeleton.parts`."""
        return self.backbone, self.vae, *self.text_encoders
