"""Parts that several checkpoints have of one file: in memory once, whoever draws with them.

T5 is 9.8 GB in half precision, and FLUX.1, Chroma and SD 3 have the same; people who name text encoders of
their own (`ModelFile.encoders`) have the same transformer, of 24 GB. Nothing of a part changes while it
serves but by the LoRAs at work, which are taken off before another checkpoint serves (`Loop`), and by what
helps all who draw with it: a VAE that overflows in half precision goes on in single. What is shared is held
by its checkpoints alone: with the last of them it goes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import nn

from easel.models import ModelFile, ModelSet, SetPart, path_now
from easel.studio.engine.checkpoints.skeleton import Skeleton, fill, nbytes
from easel.studio.engine.memory.device_memory import DeviceMemory
from easel.studio.engine.memory.memory_plan import WeightPlacement
from easel.studio.engine.quantised.packed_modules import keep_packed
from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.tensors.weights import memory_format
from easel.studio.families import Family


class PartKey(NamedTuple):
    """The same for parts with the same numbers: `files` are paths with size and time of change, `built` is
    the configuration."""

    role: str
    files: tuple[tuple[Path, int, int], ...]
    prefix: str
    built: str
    dtype: torch.dtype

    def is_of(self, file: ModelFile) -> bool:
        """Whether it lies in this file or folder."""
        return all(file.path in (path, *path.parents) for path, _, _ in self.files)


PartKeys = tuple[PartKey | None, ...]
"""Of a checkpoint's parts, in the order of `Skeleton.parts`: None for one that is not there, and nothing at
all where nobody shares: with a UNet."""


class SharedParts:
    """Those of the checkpoints of one device, there and in main memory. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._there: WeakValueDictionary[tuple[PartKey, str], nn.Module] = WeakValueDictionary()

    def add(
        self,
        keys: PartKeys,
        parts: Sequence[Any],
        memory: DeviceMemory,
        placement: WeightPlacement = WeightPlacement.WHOLE,
    ) -> None:
        """Those of them that lie in this memory for good with such a placement: anybody may draw with them.
        What waits in main memory, for its layers to be fetched, is nobody else's."""
        with self._lock:
            for key, module in zip(_for_good(keys, placement), parts, strict=False):
                if key is not None and module is not None:
                    self._there.setdefault((key, memory.place), module)

    def take(self, keys: PartKeys, bones: Skeleton, memory: DeviceMemory, *, whole: bool = True) -> int:
        """Put those that are in this memory into the places of what has no weights yet: all, or where the
        checkpoint need not go there `whole`, its backbone alone. Returns the bytes that are not needed
        again."""
        wanted = _for_good(keys, WeightPlacement.WHOLE if whole else WeightPlacement.BACKBONE)
        found = [self._at(key, memory) for key in wanted]
        there = [*found, *[None] * (len(bones.parts) - len(found))]
        bones.parts = tuple(own if one is None else one for own, one in zip(bones.parts, there, strict=True))
        return self.bytes_of(wanted, memory)

    def bytes_of(self, keys: PartKeys, memory: DeviceMemory) -> int:
        """Of those that are in this memory."""
        found = [(key, self._at(key, memory)) for key in keys if key is not None]
        return sum(nbytes(module, key.dtype) for key, module in found if module is not None)

    def staying(self, keys: PartKeys, file: ModelFile, memory: DeviceMemory) -> list[nn.Module | None]:
        """Of these parts, in their order, those in this memory that this checkpoint has too, as far as its
        files tell: whoever holds them has them stay. The VAE, whose file no checkpoint names, with the
        others."""
        files = (file, *file.encoders)
        found = [
            self._at(key, memory) if key is not None and any(map(key.is_of, files)) else None for key in keys
        ]
        if any(one is not None for one in found):
            found[Skeleton.VAE] = self._at(keys[Skeleton.VAE], memory)
        return found

    def holds(self, file: ModelFile, memory: DeviceMemory) -> bool:
        """Whether something of this file is in this memory."""
        with self._lock:
            there = [key for key, place in self._there if place == memory.place]
        return any(key.is_of(file) for key in there)

    def _at(self, key: PartKey | None, memory: DeviceMemory) -> nn.Module | None:
        with self._lock:
            return None if key is None else self._there.get((key, memory.place))


def part_keys(found: ModelSet, family: Family, dtype: torch.dtype) -> PartKeys:
    """What tells the parts of a set from all others: files, how they are built, and the type."""

    def key(part: SetPart | None, folder: str) -> PartKey | None:
        if part is None:
            return None
        states = [(piece.path, path_now(piece.path).stat()) for piece in part.pieces]
        files = tuple((path, one.st_size, one.st_mtime_ns) for path, one in states)
        built = (family.folder / folder / "config.json").read_text(encoding="utf-8")
        return PartKey(part.role, files, part.prefix, built, dtype)

    encoders = zip(found.text_encoders, family.text_encoders, strict=True)
    return (
        key(found.transformer, "transformer"),
        key(found.vae, "vae"),
        *(key(part, encoder.folder) for part, encoder in encoders),
    )


def filled_from(module: Any, original: Any, place: torch.device) -> None:
    """Give a module the weights of another one like it, copied."""
    fill(module, {name: _copy(one, place) for name, one in original.state_dict().items()}, place)


def packed_as(module: Any, original: Any) -> None:
    """Have a module keep small what another one like it does, before it is filled."""
    keep_packed(module, original.state_dict())


def _for_good(keys: PartKeys, placement: WeightPlacement) -> PartKeys:
    """Of the parts that are on the device for good: the backbone is the first."""
    return {WeightPlacement.WHOLE: keys, WeightPlacement.BACKBONE: keys[:1]}.get(placement, ())


def _copy(tensor: Any, device: torch.device) -> torch.Tensor:
    if isinstance(tensor, PackedWeight):
        return tensor.copied(device)
    layout = memory_format(tensor.dim(), device)
    made = torch.empty(tensor.shape, dtype=tensor.dtype, device=device, memory_format=layout)
    return made.copy_(tensor)
