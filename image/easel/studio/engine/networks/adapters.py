"""Networks beside a checkpoint: loaded when first asked for, at work only for those who ask.

Each layer that some network changes gets one hook, which adds what the networks at work add, to the rows of
those who draw with them. So the checkpoint's own weights never change, people with different networks share
a call of the UNet, and a picture without any is drawn by the very same operations as before. (PEFT wraps
every layer, merges or switches each one by itself, and takes seconds to put a file in: docs/decisions/0015.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import structlog
import torch
from torch import nn

from easel.models import ModelFile
from easel.remark import remark
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.memory.device_memory import share_of
from easel.studio.engine.networks.block_weights import block_of
from easel.studio.engine.networks.extra_networks import LoraUse
from easel.studio.engine.networks.names import UNET, Place
from easel.studio.engine.networks.network_company import NetworkCompany
from easel.studio.engine.networks.network_file import LoadedNetwork, load_network, part_of
from easel.studio.engine.networks.network_set import NetworkSet

log = structlog.get_logger(__name__)

# Memory for networks that nobody draws with now: a share of the GPU's, or so many bytes of the machine's.
GPU_SHARE = 0.08
CPU_BYTES = 500_000_000
# Sets that are remembered: a tag with another weight is another one.
_SETS = 64


class Adapters:
    """The networks of one checkpoint. Used from the engine's thread only."""

    def __init__(self, checkpoint: Checkpoint, budget: int | None = None) -> None:
        self._checkpoint = checkpoint
        self._budget = share_of(checkpoint.device, GPU_SHARE, CPU_BYTES) if budget is None else budget
        self._loaded: OrderedDict[ModelFile, LoadedNetwork] = OrderedDict()
        self._hooks: dict[Place, Any] = {}
        self._aside: set[Place] = set()
        self._blocks: dict[Place, int | None] = {}
        self._sets: OrderedDict[tuple[LoraUse, ...], NetworkSet] = OrderedDict()
        self._company: tuple[Hashable, NetworkCompany] = None, NetworkCompany(())
        self._at_work = NetworkCompany(())
        self._foreign: set[ModelFile] = set()
        self._merging = checkpoint.device.type == "cpu" and checkpoint.dtype == torch.float32

    @property
    def nbytes(self) -> int:
        """Bytes of all networks in memory."""
        return sum(network.nbytes for network in self._loaded.values())

    @property
    def merged_bytes(self) -> int:
        """Bytes of weights that networks are merged into."""
        return sum(one.nbytes for one in self._sets.values())

    def need(
        self, uses: Sequence[LoraUse], in_use: Collection[ModelFile], *, going_on: bool = False
    ) -> list[str]:
        """Have these in memory, and as few others as the budget asks; those `in_use` stay in any case.

        `going_on`: with this checkpoint a picture goes on that another one began. What was made for the other
        one only is then left out, as in A1111: most refiners fit no LoRA. Returns what there is to note.
        Raises a FileError for a file that cannot be used, and then the others are as they were.
        """
        notes: list[str] = []
        for use in uses:
            try:
                self._load(use.file)
            except OtherArchitecture as error:
                if not going_on:
                    raise
                self._foreign.add(use.file)
                notes.append(
                    remark(
                        "refined_without",
                        "What {checkpoint} drew was drawn without a LoRA. {why}.",
                        about="prompt",
                        checkpoint=self._checkpoint.file.name,
                        why=error,
                    )
                )
                continue
            self._loaded.move_to_end(use.file)
            notes += self._loaded[use.file].notes()
            if use.limits.blocks is not None and self._checkpoint.family.flow is not None:
                notes.append(
                    remark(
                        "blocks_of_unets",
                        "{name}: weights of blocks (lbw) are those of UNets. {checkpoint} has a transformer, "
                        "all of which counts with the LoRA's own weight.",
                        about="prompt",
                        name=use.file.name,
                        checkpoint=self._checkpoint.file.name,
                    )
                )
        self._tidy({*in_use, *(use.file for use in uses)})
        return list(dict.fromkeys(notes))

    def _load(self, file: ModelFile) -> None:
        if file in self._loaded:
            return
        network = load_network(file, self._checkpoint)
        self._loaded[file] = network
        for place in network.changes:
            self._hook(place)
        log.info("LoRA loaded", file=file.name, layers=len(network.changes), bytes=network.nbytes)

    @contextmanager
    def at_work(self, uses: Sequence[LoraUse]) -> Iterator[None]:
        """Within this, the checkpoint draws with these networks (which `need` loaded) and no others;
        what does not fit it changes nothing."""
        with self._sharing(NetworkCompany([(slice(None), self._set(uses))])):
            yield

    @contextmanager
    def by_row(self, shares: Sequence[tuple[int, Sequence[LoraUse]]]) -> Iterator[None]:
        """Within this, so many rows of each call are drawn with these networks, the next ones with those, and
        so on to the last row."""
        key = tuple((rows, tuple(uses)) for rows, uses in shares)
        if self._company[0] != key:
            ends = list(accumulate(rows for rows, _ in shares))
            sets = [self._set(uses) for _, uses in shares]
            rows = [slice(end - rows, end) for end, (rows, _) in zip(ends, shares, strict=True)]
            company = NetworkCompany(list(zip(rows, sets, strict=True)), self._mergeable(sets))
            self._company = key, company
        with self._sharing(self._company[1]):
            yield

    def _set(self, uses: Sequence[LoraUse]) -> NetworkSet:
        key = tuple(uses)
        if key not in self._sets:
            there = [(self._loaded[use.file], use) for use in uses if use.file not in self._foreign]
            self._sets[key] = NetworkSet(there, self._weight)
            while len(self._sets) > _SETS:
                self._sets.popitem(last=False)
        self._sets.move_to_end(key)
        return self._sets[key]

    def _weight(self, use: LoraUse, place: Place) -> float:
        """What a network counts with in a layer."""
        if place[0] != UNET:
            return use.te
        if place not in self._blocks:
            has_blocks = self._checkpoint.family.flow is None
            self._blocks[place] = block_of(place[1], self._checkpoint.backbone) if has_blocks else None
        return use.unet_in(self._blocks[place])

    def _mergeable(self, sets: Sequence[NetworkSet]) -> dict[Place, nn.Module]:
        """The layers that may answer by merged weights of these sets; none where there are not several sets,
        where they have no room together, or rounding would take a part of what is merged away."""
        checkpoint, at_work = self._checkpoint, [one for one in sets if one.networks]
        if not self._merging or checkpoint.offload is not None or len(at_work) < 2:
            return {}
        found = {
            place: layer
            for place in sorted(set().union(*(one.places for one in at_work)))
            if place[0] == UNET
            and type(layer := checkpoint.backbone.get_submodule(place[1])) in (nn.Linear, nn.Conv2d)
        }
        whole = sum(layer.weight.nbytes for layer in found.values()) * len(at_work)
        others = [one for one in self._sets.values() if one not in at_work]  # the oldest first
        while others and whole + sum(one.nbytes for one in others) + self.nbytes > self._budget:
            others.pop(0).forget()
        return found if whole + self.nbytes <= self._budget else {}

    @contextmanager
    def _sharing(self, company: NetworkCompany) -> Iterator[None]:
        if company.anybody:
            for place in list(self._aside):
                self._hook(place)
        before, self._at_work = self._at_work, company
        try:
            with company.answering():
                yield
        finally:
            self._at_work = before

    def step_aside(self) -> None:
        """Leave no hook in the layers until some network is at work again: compiled blocks are to see the
        checkpoint as it is."""
        self._aside.update(self._hooks)
        self._take_out(list(self._hooks))

    def let_go(self) -> bool:
        """Forget merged weights, and merge no more: there is no memory for it. Whether there were any."""
        there = self.merged_bytes > 0
        self._forget_sets()
        self._merging = False
        return there

    def clear(self) -> None:
        """Take everything out of the checkpoint again."""
        self._loaded.clear()
        self._forget_sets()
        self._unhook()

    def _tidy(self, keep: Collection[ModelFile]) -> None:
        for file in list(self._loaded):
            if self.nbytes <= self._budget:
                break
            if file not in keep:
                del self._loaded[file]
                self._forget_sets()
                log.info("LoRA dropped", file=file.name)
        self._unhook({place for network in self._loaded.values() for place in network.changes})

    def _unhook(self, keep: Collection[Place] = ()) -> None:
        self._take_out([place for place in self._hooks if place not in keep])
        self._aside.intersection_update(keep)

    def _forget_sets(self) -> None:
        self._sets.clear()
        self._company = None, NetworkCompany(())

    def _take_out(self, places: Collection[Place]) -> None:
        for place in places:
            self._hooks.pop(place).remove()

    def _hook(self, place: Place) -> None:
        self._aside.discard(place)
        if place not in self._hooks:
            module = part_of(self._checkpoint, place[0]).get_submodule(place[1])
            self._hooks[place] = module.register_forward_hook(self._adding(place))

    def _adding(self, place: Place) -> Callable[..., torch.Tensor]:
        def add(layer: nn.Module, seen: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            self._at_work.add(place, layer, seen[0], output)
            return output

        return add
