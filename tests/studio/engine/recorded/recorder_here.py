"""A recorder for this machine, by the rules of a CUDA graph: operations on addresses, played again.

What a call read from Python, it reads never again. What it made on the way lies in memory that others have
in between, and is not there behind it. It may not wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from easel.studio.engine import serving
from easel.studio.engine.recorded.recorded_calls import RecordedCalls
from easel.studio.engine.recorded.recording import Recording

_WAITS = {
    torch.ops.aten.item.default,
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.equal.default,
}


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [one for one in tree_flatten(tree)[0] if isinstance(one, torch.Tensor)]


def _place(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class _Watching(TorchDispatchMode):
    """Notes each operation with the tensors it had and made."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, list[torch.Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _WAITS:
            raise RuntimeError("operation not permitted when stream is capturing")
        made = func(*args, **(kwargs or {}))
        self.done.append((func, args, kwargs or {}, _tensors(made)))
        return made


def record_here(patch: pytest.MonkeyPatch) -> list[RecorderHere]:
    """Engines that are asked to record do so on a CPU from now on. Returns their recorders, as they come."""
    patch.setattr(Recording, "begins", lambda self, file, device: self._asked)
    patch.setattr(serving, "RecordedCalls", partial(RecordedCalls, recorders=RecorderHere))
    RecorderHere.made.clear()
    return RecorderHere.made


class RecorderHere:
    """Keeps what `CudaGraphs` keeps, in main memory; `recorded` counts."""

    made: ClassVar[list[RecorderHere]] = []

    def __init__(self, device: torch.device) -> None:
        self.held, self.recorded, self.played = 0, 0, 0
        RecorderHere.made.append(self)

    def record(self, call: Callable[[], object]) -> tuple[Callable[[], None], object]:
        """As `Recorder` has it."""
        call()
        with _Watching() as watching:
            answer = call()
        self.held += sum(one.nbytes for one in _tensors(answer))
        self.recorded += 1
        kept, own = set(map(_place, _tensors(answer))), set[int]()
        on_the_way: list[torch.Tensor] = []
        for _, args, kwargs, made in watching.done:
            kept |= set(map(_place, _tensors((args, kwargs)))) - own
            own |= set(map(_place, made)) - kept
            on_the_way += [one for one in made if _place(one) in own and one.is_floating_point()]

        def play() -> None:
            self.played += 1
            for func, args, kwargs, made in watching.done:
                for place, one in zip(made, _tensors(func(*args, **kwargs)), strict=True):
                    if place.data_ptr() != one.data_ptr():
                        place.copy_(one)
            for one in on_the_way:
                one.fill_(torch.nan)

        return play, answer
