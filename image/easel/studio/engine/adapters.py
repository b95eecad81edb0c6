"""LoRAs beside a checkpoint: loaded when first asked for, at work only for those who ask.

Each module that some LoRA changes gets one hook, which adds what the LoRAs at work add. So the checkpoint's
own weights never change, going from one person's LoRAs to another's is the setting of one variable, and a
picture without any is drawn by the very same operations as before. (PEFT wraps every module, merges or
switches each one by itself, and takes seconds to put a file in: docs/decisions/0013.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
import torch
from torch import nn

from easel.models import ModelFile
from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.extra_networks import LoraUse
from easel.studio.engine.lora import Delta, Lora, load_lora, part_of
from easel.studio.engine.lora_names import UNET

log = structlog.get_logger(__name__)

# Memory for LoRAs that nobody draws with now: a share of the GPU's, or so many bytes of the machine's.
GPU_SHARE = 0.08
CPU_BYTES = 500_000_000


class Adapters:
    """The LoRAs of one checkpoint. Used from the engine's thread only."""

    def __init__(self, checkpoint: Checkpoint, budget: int | None = None) -> None:
        self._checkpoint = checkpoint
        self._budget = _budget(checkpoint.device) if budget is None else budget
        self._loaded: OrderedDict[ModelFile, Lora] = OrderedDict()
        self._hooks: dict[tuple[str, str], Any] = {}
        self._at_work: list[tuple[Mapping[tuple[str, str], Delta], float, float]] = []

    @property
    def nbytes(self) -> int:
        """Bytes of all LoRAs in memory."""
        return sum(lora.nbytes for lora in self._loaded.values())

    def need(self, uses: Sequence[LoraUse], in_use: Collection[ModelFile]) -> list[str]:
        """Have these in memory, and as few others as the budget asks; those `in_use` stay in any case.

        Returns what there is to note. Raises a FileError for a file that cannot be used, and then the others
        are as they were.
        """
        notes = []
        for use in uses:
            if use.file not in self._loaded:
                lora = load_lora(use.file, self._checkpoint)
                self._loaded[use.file] = lora
                for place in lora.deltas:
                    self._hook(place)
                log.info("LoRA loaded", file=use.file.name, modules=len(lora.deltas), bytes=lora.nbytes)
            self._loaded.move_to_end(use.file)
            if left_out := self._loaded[use.file].left_out:
                notes.append(f"{use.file.name}: {left_out} of its tensors have no place in this checkpoint.")
        self._tidy({*in_use, *(use.file for use in uses)})
        return notes

    @contextmanager
    def at_work(self, uses: Sequence[LoraUse]) -> Iterator[None]:
        """Within this, the checkpoint draws with these LoRAs (which `need` loaded) and no others."""
        before = self._at_work
        self._at_work = [(self._loaded[use.file].deltas, use.unet, use.te) for use in uses]
        try:
            yield
        finally:
            self._at_work = before

    def clear(self) -> None:
        """Take everything out of the checkpoint again."""
        self._loaded.clear()
        self._unhook()

    def _tidy(self, keep: Collection[ModelFile]) -> None:
        for file in list(self._loaded):
            if self.nbytes <= self._budget:
                break
            if file not in keep:
                del self._loaded[file]
                log.info("LoRA dropped", file=file.name)
        self._unhook({place for lora in self._loaded.values() for place in lora.deltas})

    def _unhook(self, keep: Collection[tuple[str, str]] = ()) -> None:
        for place in [place for place in self._hooks if place not in keep]:
            self._hooks.pop(place).remove()

    def _hook(self, place: tuple[str, str]) -> None:
        if place not in self._hooks:
            module = part_of(self._checkpoint, place[0]).get_submodule(place[1])
            self._hooks[place] = module.register_forward_hook(self._adding(place))

    def _adding(self, place: tuple[str, str]) -> Callable[..., torch.Tensor | None]:
        unet = place[0] == UNET

        def add(
            module: nn.Module, seen: tuple[torch.Tensor, ...], output: torch.Tensor
        ) -> torch.Tensor | None:
            for deltas, of_unet, of_encoder in self._at_work:
                weight = of_unet if unet else of_encoder
                if weight and (delta := deltas.get(place)) is not None:
                    output = delta.add_to(module, seen[0], output, weight)
            return output

        return add


def _budget(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * GPU_SHARE)
    return CPU_BYTES
