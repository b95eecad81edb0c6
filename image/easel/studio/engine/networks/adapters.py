"""Networks beside a checkpoint: loaded when first asked for, at work only for those who ask.

Each layer that some network changes gets one hook, which adds what the networks at work add, to the rows of
those who draw with them. So the checkpoint's own weights never change, people with different networks share
a call of the UNet, and a picture without any is drawn by the very same operations as before. (PEFT wraps
every layer, merges or switches each one by itself, and takes seconds to put a file in: docs/decisions/0015.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
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
from easel.studio.engine.networks.layer import Change
from easel.studio.engine.networks.low_rank import LowRank
from easel.studio.engine.networks.names import UNET
from easel.studio.engine.networks.network_file import LoadedNetwork, load_network, part_of

log = structlog.get_logger(__name__)

# Memory for networks that nobody draws with now: a share of the GPU's, or so many bytes of the machine's.
GPU_SHARE = 0.08
CPU_BYTES = 500_000_000

# Rows of a call, and what is at work for them.
_Share = tuple[slice, list[tuple[LoadedNetwork, LoraUse]]]


class Adapters:
    """The networks of one checkpoint. Used from the engine's thread only."""

    def __init__(self, checkpoint: Checkpoint, budget: int | None = None) -> None:
        self._checkpoint = checkpoint
        self._budget = share_of(checkpoint.device, GPU_SHARE, CPU_BYTES) if budget is None else budget
        self._loaded: OrderedDict[ModelFile, LoadedNetwork] = OrderedDict()
        self._hooks: dict[tuple[str, str], Any] = {}
        self._aside: set[tuple[str, str]] = set()
        self._at_work: list[_Share] = []
        self._foreign: set[ModelFile] = set()

    @property
    def nbytes(self) -> int:
        """Bytes of all networks in memory."""
        return sum(network.nbytes for network in self._loaded.values())

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
        with self._sharing([self._share(slice(None), uses)]):
            yield

    @contextmanager
    def by_row(self, shares: Sequence[tuple[int, Sequence[LoraUse]]]) -> Iterator[None]:
        """Within this, so many rows of each call are drawn with these networks, the next ones with those, and
        so on to the last row."""
        ends = list(accumulate(rows for rows, _ in shares))
        with self._sharing(
            [
                self._share(slice(end - rows, end), uses)
                for end, (rows, uses) in zip(ends, shares, strict=True)
            ]
        ):
            yield

    def _share(self, rows: slice, uses: Sequence[LoraUse]) -> _Share:
        return rows, [(self._loaded[use.file], use) for use in uses if use.file not in self._foreign]

    @contextmanager
    def _sharing(self, shares: list[_Share]) -> Iterator[None]:
        if any(networks for _, networks in shares):
            for place in list(self._aside):
                self._hook(place)
        before, self._at_work = self._at_work, shares
        try:
            yield
        finally:
            self._at_work = before

    def step_aside(self) -> None:
        """Leave no hook in the layers until some network is at work again: compiled blocks are to see the
        checkpoint as it is."""
        self._aside.update(self._hooks)
        self._take_out(list(self._hooks))

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
        self._unhook({place for network in self._loaded.values() for place in network.changes})

    def _unhook(self, keep: Collection[tuple[str, str]] = ()) -> None:
        self._take_out([place for place in self._hooks if place not in keep])
        self._aside.intersection_update(keep)

    def _take_out(self, places: Collection[tuple[str, str]]) -> None:
        for place in places:
            self._hooks.pop(place).remove()

    def _hook(self, place: tuple[str, str]) -> None:
        self._aside.discard(place)
        if place not in self._hooks:
            module = part_of(self._checkpoint, place[0]).get_submodule(place[1])
            self._hooks[place] = module.register_forward_hook(self._adding(place))

    def _adding(self, place: tuple[str, str]) -> Callable[..., torch.Tensor]:
        in_unet = place[0] == UNET
        has_blocks = in_unet and self._checkpoint.family.flow is None
        block = block_of(place[1], self._checkpoint.backbone) if has_blocks else None

        def add(layer: nn.Module, seen: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            for rows, networks in self._at_work:
                weighed = [
                    (_of_rank(change, use.limits.rank), weight)
                    for network, use in networks
                    if (weight := use.unet_in(block) if in_unet else use.te)
                    for change in network.changes.get(place, ())
                ]
                if weighed:
                    _add(layer, seen[0][rows], output[rows], weighed)
            return output

        return add


def _add(
    layer: nn.Module, seen: torch.Tensor, own: torch.Tensor, changes: list[tuple[Change, float]]
) -> None:
    """Add what the changes make of `seen` to `own`, the layer's answer, which each looks at as it was."""
    found = own
    for left, (change, weight) in zip(range(len(changes) - 1, -1, -1), changes, strict=True):
        added = change.added(layer, seen, own)
        found = torch.add(found, added, alpha=weight * change.scale, out=None if left else own)


def _of_rank(change: Change, rank: int) -> Change:
    """Cut to so many of its ranks, where it has some and not all count (0)."""
    return change.cut_to(rank) if rank and isinstance(change, LowRank) else change
