"""Text encoders that several checkpoints have of one file: in memory once, whoever draws with them.

T5 is 9.8 GB in half precision, and FLUX.1, Chroma and SD 3 have the same. Nothing of a text encoder changes
while it serves but by the LoRAs at work, which are taken off before another checkpoint serves (`Loop`). What
is shared is held by its checkpoints alone: with the last of them it goes.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import nn

from easel.models import ModelSet, path_now
from easel.studio.engine.checkpoints.skeleton import Skeleton, fill, nbytes
from easel.studio.engine.memory.device_memory import DeviceMemory
from easel.studio.engine.quantised.packed_modules import keep_packed
from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.tensors.weights import memory_format
from easel.studio.families import Family

EncoderKey = Hashable
"""The same for text encoders with the same numbers; None for one that nobody shares."""


class SharedEncoders:
    """Those of the checkpoints of one device, there and in main memory. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._there: WeakValueDictionary[tuple[Hashable, str], nn.Module] = WeakValueDictionary()

    def add(self, keys: Sequence[EncoderKey], encoders: Sequence[Any], memory: DeviceMemory) -> None:
        """These lie in this memory for good, and anybody may draw with them. A UNet's have no keys: they are
        its own."""
        with self._lock:
            for key, module in zip(keys, encoders, strict=False):
                if key is not None and module is not None:
                    self._there.setdefault((key, memory.place), module)

    def take(self, keys: Sequence[EncoderKey], bones: Skeleton, memory: DeviceMemory) -> int:
        """Put those that are in this memory into the places of what has no weights yet. Returns the bytes
        that are not needed again."""
        found = [self._at(key, memory) for key in keys] or [None] * len(bones.text_encoders)
        pairs = list(zip(bones.text_encoders, found, strict=True))
        bones.text_encoders = tuple(own if there is None else there for own, there in pairs)
        taken = [there for own, there in pairs if own is not None and there is not None]
        return sum(nbytes(one, next(one.parameters()).dtype) for one in taken)

    def bytes_of(self, keys: Sequence[EncoderKey], memory: DeviceMemory) -> int:
        """Of those that are in this memory."""
        found = [there for key in keys if (there := self._at(key, memory)) is not None]
        return sum(nbytes(one, next(one.parameters()).dtype) for one in found)

    def _at(self, key: EncoderKey, memory: DeviceMemory) -> nn.Module | None:
        with self._lock:
            return None if key is None else self._there.get((key, memory.place))


def encoder_keys(found: ModelSet, family: Family, dtype: torch.dtype) -> tuple[EncoderKey, ...]:
    """What tells the text encoders of a set from all others: files, how they are built, and the type."""
    keys: list[EncoderKey] = []
    for part, encoder in zip(found.text_encoders, family.text_encoders, strict=True):
        if part is None:
            keys.append(None)
            continue
        states = [(piece.path, path_now(piece.path).stat()) for piece in part.pieces]
        files = tuple((path, one.st_size, one.st_mtime_ns) for path, one in states)
        built = (family.folder / encoder.folder / "config.json").read_text(encoding="utf-8")
        keys.append((part.role, files, part.prefix, built, str(dtype)))
    return tuple(keys)


def filled_from(module: Any, original: Any, place: torch.device) -> None:
    """Give a module the weights of another one like it, copied."""
    fill(module, {name: _copy(one, place) for name, one in original.state_dict().items()}, place)


def packed_as(module: Any, original: Any) -> None:
    """Have a module keep small what another one like it does, before it is filled."""
    keep_packed(module, original.state_dict())


def _copy(tensor: Any, device: torch.device) -> torch.Tensor:
    if isinstance(tensor, PackedWeight):
        return tensor.copied(device)
    layout = memory_format(tensor.dim(), device)
    made = torch.empty(tensor.shape, dtype=tensor.dtype, device=device, memory_format=layout)
    return made.copy_(tensor)
