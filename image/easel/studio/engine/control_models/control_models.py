"""Control models beside a checkpoint, as its pictures are drawn with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from diffusers.models.adapter import T2IAdapter

from easel.models import Architecture, ModelFile
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.control.unit import ControlUnit
from easel.studio.engine.control_models.control_cache import ControlCache
from easel.studio.engine.control_models.control_residuals import ControlOfPass
from easel.studio.engine.control_models.controls import PreparedControl, Size
from easel.studio.engine.control_models.image_prompt_models import Tokens

_NOBODY: Mapping[ControlUnit, Tokens] = {}


class ControlModels:
    """The control models at work with one checkpoint. Used from the engine's thread only."""

    def __init__(self, checkpoint: Checkpoint, cache: ControlCache) -> None:
        self._checkpoint, self._cache = checkpoint, cache

    def need(self, controls: Sequence[PreparedControl], keep: Collection[ModelFile] = ()) -> list[str]:
        """Have these in memory; those of `keep` stay beside them.

        Returns what there is to note. Raises what `load_control` raises.
        """
        if controls and not self._controllable:
            name = self._checkpoint.file.name
            return [f"{name} is a refiner, for which there are no ControlNets: it drew without."]
        wanted = {one.file for one in controls}
        for file in wanted:
            self._cache.get(file, self._checkpoint, {*wanted, *keep})
        return []

    def of_pass(
        self,
        controls: Sequence[PreparedControl],
        index: int,
        size: Size,
        *,
        second_pass: bool,
        identities: Mapping[ControlUnit, Tokens] = _NOBODY,
    ) -> tuple[ControlOfPass, ...]:
        """What controls a pass of the picture with this number, `size` in pixels; `need` came before.
        `identities` are what units read in faces."""
        if not self._controllable:
            return ()
        at_work = [one for one in controls if one.unit.controls(second_pass=second_pass)]
        return tuple(self._at_work(one, index, size, identities, second_pass=second_pass) for one in at_work)

    @property
    def _controllable(self) -> bool:
        return self._checkpoint.family.architecture is not Architecture.SDXL_REFINER

    def _at_work(
        self,
        control: PreparedControl,
        index: int,
        size: Size,
        identities: Mapping[ControlUnit, Tokens],
        *,
        second_pass: bool,
    ) -> ControlOfPass:
        module = self._cache.get(control.file, self._checkpoint)
        hint, region = self._hint(control, module, index, size), self._region(control, index, size)
        identity = identities[control.reads_face_by] if control.reads_face_by is not None else None
        return ControlOfPass(
            control.unit, control.file, module, hint, region, identity, second_pass=second_pass
        )

    def _hint(self, control: PreparedControl, module: Any, index: int, size: Size) -> torch.Tensor:
        """(1, 3, height, width); of grey models one channel."""
        shown = torch.from_numpy(control.hint(index, size).shown()).permute(2, 0, 1)[None].contiguous()
        if isinstance(module, T2IAdapter) and module.config.in_channels == 1:
            shown = shown[:, :1]
        return shown.to(self._checkpoint.device, self._checkpoint.dtype)

    def _region(self, control: PreparedControl, index: int, size: Size) -> torch.Tensor | None:
        """(1, 1, height, width); None for everywhere."""
        region = control.hint(index, size).region
        if region is None:
            return None
        return torch.from_numpy(region)[None, None].to(self._checkpoint.device, self._checkpoint.dtype)
