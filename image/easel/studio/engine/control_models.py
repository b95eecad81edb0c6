"""Control models beside a checkpoint: loaded when first asked for, kept as far as there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Any

import structlog
import torch
from diffusers.models.adapter import T2IAdapter

from easel.models import Architecture, ModelFile
from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.control_file import load_control
from easel.studio.engine.control_residuals import ControlOfPass
from easel.studio.engine.controls import PreparedControl, Size
from easel.studio.engine.memory import TooLarge, give_back
from easel.studio.engine.skeleton import nbytes

log = structlog.get_logger(__name__)

# Memory for control models that nobody draws with now: a share of the GPU's (of 24 GB, one of SDXL's and one
# of SD 1.x's in half precision), or so many bytes of the machine's.
GPU_SHARE = 0.15
CPU_BYTES = 1_500_000_000

Load = Callable[[ModelFile, Checkpoint], Any]


class ControlModels:
    """The control models of one checkpoint. Used from the engine's thread only."""

    def __init__(self, checkpoint: Checkpoint, budget: int | None = None) -> None:
        self._checkpoint = checkpoint
        self._budget = _budget(checkpoint.device) if budget is None else budget
        self._loaded: OrderedDict[ModelFile, Any] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Bytes of all in memory."""
        return sum(nbytes(one, self._checkpoint.dtype) for one in self._loaded.values())

    def need(self, controls: Sequence[PreparedControl], in_use: Collection[ModelFile]) -> list[str]:
        """Have these in memory, and as few others as the budget asks; those `in_use` stay in any case.

        Returns what there is to note. Raises what `load_control` raises.
        """
        if controls and not self._controllable:
            name = self._checkpoint.file.name
            return [f"{name} is a refiner, for which there are no ControlNets: it drew without."]
        wanted = {one.file for one in controls}
        for file in wanted:
            self.get(file, load_control, {*in_use, *wanted})
        self._tidy({*in_use, *wanted}, self._budget)
        return []

    def get(self, file: ModelFile, load: Load, keep: Collection[ModelFile]) -> Any:
        """The model of a file, loaded by `load` where it is not in memory; those to `keep` stay in any case.

        Raises what `load` raises.
        """
        if file not in self._loaded:
            self._loaded[file] = self._load(file, load, keep)
        self._loaded.move_to_end(file)
        return self._loaded[file]

    def of_pass(
        self, controls: Sequence[PreparedControl], index: int, size: Size, *, second_pass: bool
    ) -> tuple[ControlOfPass, ...]:
        """What controls a pass of the picture with this number, `size` in pixels; `need` came before."""
        if not self._controllable:
            return ()
        at_work = [one for one in controls if one.unit.controls(second_pass=second_pass)]
        return tuple(
            ControlOfPass(one.unit, one.file, self._loaded[one.file], self._tensor(one, index, size),
                          self._region(one, index, size), second_pass=second_pass)
            for one in at_work
        )  # fmt: skip

    @property
    def _controllable(self) -> bool:
        return self._checkpoint.family.architecture is not Architecture.SDXL_REFINER

    def _tensor(self, control: PreparedControl, index: int, size: Size) -> torch.Tensor:
        """(1, 3, height, width); of grey models one channel."""
        shown = torch.from_numpy(control.hint(index, size).shown()).permute(2, 0, 1)[None].contiguous()
        module = self._loaded[control.file]
        if isinstance(module, T2IAdapter) and module.config.in_channels == 1:
            shown = shown[:, :1]
        return shown.to(self._checkpoint.device, self._checkpoint.dtype)

    def _region(self, control: PreparedControl, index: int, size: Size) -> torch.Tensor | None:
        """(1, 1, height, width); None for everywhere."""
        region = control.hint(index, size).region
        if region is None:
            return None
        return torch.from_numpy(region)[None, None].to(self._checkpoint.device, self._checkpoint.dtype)

    def _load(self, file: ModelFile, load: Load, keep: Collection[ModelFile]) -> Any:
        """Those that nobody draws with make room, where there is none."""
        self._tidy(keep, self._budget)
        try:
            module = load(file, self._checkpoint)
        except TooLarge:
            self._tidy(keep, 0)
            give_back(self._checkpoint.device)
            module = load(file, self._checkpoint)
        log.info("control model loaded", file=file.name, bytes=nbytes(module, self._checkpoint.dtype))
        return module

    def _tidy(self, keep: Collection[ModelFile], budget: int) -> None:
        for file in list(self._loaded):
            if self.nbytes <= budget:
                break
            if file not in keep:
                del self._loaded[file]
                log.info("control model dropped", file=file.name)


def _budget(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * GPU_SHARE)
    return CPU_BYTES
