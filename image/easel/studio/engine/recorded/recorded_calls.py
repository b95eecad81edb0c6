"""Calls of the backbone, recorded: for those in which nothing changes it.

A call is hundreds of kernels, each asked for by Python; where pictures are small and the card is large, it
waits for the next. A recorded call is asked for once. But it holds addresses: of what it reads, of the
weights and of its answer. Whatever is wrong with these fails nowhere: it is a picture with somebody else's
numbers in it. So

- what a call is given is copied to where the recording reads it, and its answer from where it is written;
- a recording counts for one shape of all that is given, and for weights that lie where they lay;
- before it is trusted, it stands beside the call as it is written, on two inputs. One that differs is the
  last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
import torch
from torch.utils._pytree import tree_flatten, tree_map_only

from easel.remark import remark
from easel.studio.engine.calls.device_calls import TOGETHER, BackboneCall
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.memory.device_memory import DeviceMemory, is_out_of_memory, share_of
from easel.studio.engine.recorded.cuda_graph import CudaGraphs, Recorder
from easel.studio.engine.recorded.plain_calls import plain
from easel.studio.engine.recorded.recording import Recording

log = structlog.get_logger(__name__)

# Calls of a kind that are made as they are written first: in them libraries choose their kernels, and a shape
# that comes once is not recorded.
_BEFORE = 2
# Calls that a recording is held against.
_CHECKED = 2
# Of the largest number of an answer. In half precision another order of the same sum moves the third digit;
# somebody else's numbers move the first.
_NEAR = 0.02
# Latent pixels of all rows: eight of 1024 pixels. What is larger keeps a card busy without.
_LARGEST = 32 * TOGETHER
# What recordings may keep, as a share of the card. They need what their calls need, for good.
_SHARE = 0.1
_ON_A_CPU = 1 << 30
# A kind that came so often while others kept all of that: it is their turn to go.
_WANTED = 200
# Kinds that are counted: sizes and numbers of people, of which a day has hundreds.
_COUNTED = 1000


@dataclass
class _Recorded:
    """One recording: where it reads what is given and writes its answer, and the calls that it is still held
    against."""

    given: list[torch.Tensor]
    play: Callable[[], None]
    answer: Any
    weights: tuple[int, ...]
    unsure: int = _CHECKED


class RecordedCalls:
    """Those of one checkpoint. Used from the engine's thread only."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        recording: Recording,
        memory: DeviceMemory,
        recorders: Callable[[torch.device], Recorder] = CudaGraphs,
    ) -> None:
        """`recording` is told where calls cannot be, `memory` what is kept for them."""
        self._file = checkpoint.file.name
        self._recording, self._memory = recording, memory
        self._device, self._recorders = checkpoint.device, recorders
        # weights that come layer by layer lie somewhere else each time
        self._recorder = recorders(self._device) if checkpoint.offload is None else None
        self._budget = share_of(checkpoint.device, _SHARE, _ON_A_CPU)
        self._weights = [*checkpoint.backbone.parameters(), *checkpoint.backbone.buffers()]
        self._seen: Counter[Hashable] = Counter()
        self._kept: dict[Hashable, _Recorded] = {}

    @property
    def kept(self) -> int:
        """Recordings that are there."""
        return len(self._kept)

    def take(self, calls: Sequence[BackboneCall]) -> bool:
        """Whether the call for these may be a recorded one: a plain one that is not too large, without
        ControlNets, and nothing of whose inside is kept (`deep_cache`)."""
        if self._recorder is None or sum(one.rows * one.latent_pixels for one in calls) > _LARGEST:
            return False
        return all(plain(one) and not one.controls and one.cache is None for one in calls)

    def answer(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What `function`, which makes the call, answers to these; by a recording, where there is one."""
        kind, given = _kind(args, kwargs, self._device)

        def written() -> Any:
            return function(*args, **kwargs)

        found = self._kept.get(kind) or self._recorded(kind, function, args, kwargs)
        if found is None:
            return written()
        if found.weights != self._addresses():
            del self._kept[kind]
            return written()
        for place, one in zip(found.given, given, strict=True):
            place.copy_(one)
        found.play()
        if not found.unsure:
            return tree_map_only(torch.Tensor, torch.clone, found.answer)
        found.unsure -= 1
        return self._checked(found, written())

    def let_go(self) -> bool:
        """Forget all, and record no more: there is no memory for it. Whether there were any."""
        there = bool(self._kept)
        self._forget()
        self._recorder = None
        return there

    def _forget(self) -> None:
        self._kept.clear()
        self._seen.clear()
        self._memory.recorded = 0

    def _recorded(
        self, kind: Hashable, function: Callable[..., Any], args: Any, kwargs: Any
    ) -> _Recorded | None:
        """A new recording, where it is time for one and there is room."""
        if kind is None or self._recorder is None:
            return None
        if len(self._seen) > _COUNTED:
            self._seen.clear()
        self._seen[kind] += 1
        if self._recorder.held >= self._budget:
            if self._seen[kind] < _WANTED:
                return None
            self._forget()
            self._recorder = self._recorders(self._device)
        elif self._seen[kind] <= _BEFORE:
            return None
        places, named = tree_map_only(torch.Tensor, torch.clone, (args, kwargs))
        given = _tensors(tree_flatten((places, named))[0])
        found = self._record(self._recorder, lambda: function(*places, **named), given)
        if found is not None:
            self._kept[kind] = found
        return found

    def _record(
        self, recorder: Recorder, call: Callable[[], Any], given: list[torch.Tensor]
    ) -> _Recorded | None:
        try:
            play, answer = recorder.record(call)
        except RuntimeError as error:
            self.let_go()
            if not is_out_of_memory(error):
                self._recording.ends(self._file, (str(error).strip() or type(error).__name__)[:500])
            return None
        self._memory.recorded = recorder.held
        log.info("recorded", file=self._file, recordings=len(self._kept) + 1, bytes=recorder.held)
        return _Recorded(given, play, answer, self._addresses())

    def _addresses(self) -> tuple[int, ...]:
        return tuple(one.data_ptr() for one in self._weights)

    def _checked(self, found: _Recorded, written: Any) -> Any:
        """What was computed as it is written; where the recording has something else, the end of all."""
        ours, theirs = tree_flatten(found.answer)[0], tree_flatten(written)[0]
        if not all(map(_alike, ours, theirs)):
            self.let_go()
            words = remark("recorded_otherwise", "a recorded call answered something else")
            self._recording.ends(self._file, words)
        return written


def _tensors(leaves: list[Any]) -> list[torch.Tensor]:
    return [one for one in leaves if isinstance(one, torch.Tensor)]


def _kind(args: Any, kwargs: Any, device: torch.device) -> tuple[Hashable, list[torch.Tensor]]:
    """What a recording holds for, None where there can be none: the shapes of the tensors that are given, and
    all else that is. And those tensors."""
    leaves, form = tree_flatten((args, kwargs))
    given = _tensors(leaves)
    others = tuple(one for one in leaves if not isinstance(one, torch.Tensor))
    # a number that is read from main memory is read once, as it is recorded
    there = all(one.device.type == device.type for one in given)
    if not there or not all(one is None or isinstance(one, bool | int | float | str) for one in others):
        return None, given
    return (form, tuple((one.shape, one.stride(), one.dtype) for one in given), others), given


def _alike(ours: Any, theirs: Any) -> bool:
    if not isinstance(theirs, torch.Tensor):
        return bool(ours == theirs)
    scale = theirs.float().abs().max()
    return bool((ours.float() - theirs.float()).abs().max() <= _NEAR * scale)
