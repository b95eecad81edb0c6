"""Control models in the device's memory: those that somebody draws with, and those that were asked for
lately.

They stay when another checkpoint comes, for whoever goes on with the same control: one of SDXL is 2.5 GB in
half precision, as much as half a checkpoint. In main memory they share what there is with the checkpoints
that are kept: of both, the least lately used goes first. On a GPU they have a share of its memory.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from typing import Any

import structlog
import torch

from easel.models import ModelFile
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.checkpoints.skeleton import nbytes
from easel.studio.engine.control_models.control_file import is_bound, load_control, made_for
from easel.studio.engine.memory.device_memory import DeviceMemory, TooLarge, give_back
from easel.studio.engine.memory.offload import Offload

log = structlog.get_logger(__name__)

# Of a GPU's memory, for those that nobody draws with now: of 24 GB, one of SDXL's and one of SD 1.x's.
GPU_SHARE = 0.15

Load = Callable[[ModelFile, Checkpoint, torch.device], Any]
_Key = tuple[ModelFile, Hashable, ModelFile | None]


class ControlCache:
    """For one device. Used from the engine's thread only.

    `in_use` tells which files somebody draws with now: those stay. `make_room` has so many bytes of main
    memory made free, as far as that can be. `budget` is bytes for the others; None for as much as there is.
    """

    def __init__(
        self,
        memory: DeviceMemory,
        in_use: Callable[[], Collection[ModelFile]] = tuple,
        make_room: Callable[[int], bool] = bool,
        budget: int | None = None,
    ) -> None:
        self._memory, self._in_use, self._make_room = memory, in_use, make_room
        self._budget = int(memory.capacity() * GPU_SHARE) if budget is None and memory.apart else budget
        self._loaded: OrderedDict[_Key, tuple[Any, int]] = OrderedDict()
        self._used: dict[_Key, float] = {}
        self._bound: set[ModelFile] = set()

    @property
    def nbytes(self) -> int:
        """Bytes of all in memory."""
        return sum(size for _, size in self._loaded.values())

    def get(
        self,
        file: ModelFile,
        checkpoint: Checkpoint,
        keep: Collection[ModelFile] = (),
        load: Load = load_control,
    ) -> Any:
        """The file's model for checkpoints like this one, by `load`; those of `keep` stay beside it. Raises
        what `load` raises."""
        key = self._key(file, checkpoint)
        if key not in self._loaded:
            module = self._load(file, checkpoint, keep, load)
            if is_bound(module):
                self._bound.add(file)
                key = self._key(file, checkpoint)
            self._loaded[key] = module, nbytes(module, checkpoint.dtype)
            log.info("control model loaded", file=file.name, bytes=self._loaded[key][1])
        self._loaded.move_to_end(key)
        self._used[key] = time.monotonic()
        while self._budget is not None and self.nbytes > self._budget and self._drop((file, *keep)):
            pass
        return self._loaded[key][0]

    def oldest(self) -> float | None:
        """When that was used which `drop_oldest` would drop; None where there is nothing."""
        key = self._least_used(())
        return None if key is None else self._used[key]

    def drop_oldest(self) -> bool:
        """Let one go for something that needs the memory now. False if there is none that nobody uses."""
        dropped = self._drop(())
        if dropped:
            give_back(self._memory.device)
        return dropped

    def _key(self, file: ModelFile, checkpoint: Checkpoint) -> _Key:
        """Checkpoints of one shape share a model, but for those that have weights of one of them."""
        return file, made_for(checkpoint), checkpoint.file if file in self._bound else None

    def _least_used(self, keep: Collection[ModelFile]) -> _Key | None:
        stay = {*keep, *self._in_use()}
        return next((key for key in self._loaded if key[0] not in stay), None)

    def _drop(self, keep: Collection[ModelFile]) -> bool:
        key = self._least_used(keep)
        if key is None:
            return False
        del self._loaded[key], self._used[key]
        log.info("control model dropped", file=key[0].name)
        return True

    def _load(self, file: ModelFile, checkpoint: Checkpoint, keep: Collection[ModelFile], load: Load) -> Any:
        """Those that nobody draws with make room, where there is none; where that does not do, its layers
        come to the device one by one."""
        if not self._memory.apart:
            self._make_room(file.size)
        try:
            return load(file, checkpoint, checkpoint.device)
        except TooLarge as error:
            if self._drop(keep):
                while self._drop(keep):
                    pass
                give_back(self._memory.device)
                return self._load(file, checkpoint, keep, load)
            if not self._memory.apart:
                # more than the file: a control-LoRA makes a whole ControlNet
                if self._make_room(error.need):
                    return load(file, checkpoint, checkpoint.device)
                raise
        module = load(file, checkpoint, torch.device("cpu"))
        Offload(self._memory).add(module)
        return module
