"""The checkpoint that serves on a device, its exchange for another, and what lets go of memory for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog
import torch

from easel.models import ModelFile, path_now
from easel.studio.engine.calls.device_clock import DeviceClock
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.compiling import Compiling
from easel.studio.engine.control_models.control_cache import ControlCache
from easel.studio.engine.loading.checkpoint_cache import CheckpointCache
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.loading.room import Room
from easel.studio.engine.memory.device_memory import DeviceMemory, TooLarge, give_back
from easel.studio.engine.recorded.recording import Recording
from easel.studio.engine.serving import Serving

log = structlog.get_logger(__name__)

Report = Callable[[str, float], None]


class CheckpointAtHand:
    """One checkpoint at a time, with those that are kept in memory beside it. Used from the engine's thread
    only.

    `serving` is what serves now, None before the first; `dtype` is what it computes in.
    """

    def __init__(
        self,
        memory: DeviceMemory,
        room: Room,
        clock: DeviceClock,
        *,
        dtype: torch.dtype,
        others: Callable[[], Iterable[ModelFile]],
        compiling: Compiling,
        recording: Recording,
        controlling: Callable[[], set[ModelFile]],
        let_go: Callable[[], bool],
    ) -> None:
        """`others` are the store's files, `controlling` those of control models that somebody draws with;
        `let_go` has the device forget small networks, and says whether there were any."""
        self.dtype = dtype
        self.serving: Serving | None = None
        self._memory, self._room, self._clock, self.device = memory, room, clock, memory.device
        self._others, self._clear = others, let_go
        self._compiling, self._recording = compiling, recording
        self._cache = CheckpointCache(memory, dtype, self._let_go, others)
        self._controls = ControlCache(memory, controlling, self._cache.make_room)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint that serves now."""
        return self.serving.checkpoint if self.serving else None

    @property
    def file(self) -> ModelFile | None:
        """Its file."""
        return self.serving.checkpoint.file if self.serving else None

    @property
    def resident(self) -> int:
        """Checkpoints in memory: the one that serves, and those that are kept."""
        return len(self._cache) + (self.file is not None and self.file not in self._cache)

    def switch(self, file: ModelFile, report: Report | None = None) -> None:
        """Serve another checkpoint. What goes wrong raises, and the old one goes on serving.

        The old one stays in memory until the new one is whole. Only where both do not fit does it leave
        first, but for the parts that both have; should the new one then fail, it is loaded again.
        """
        old = self.checkpoint
        try:
            new = self._take(file, report, whole=old is not None)
        except TooLarge:
            if old is None or not path_now(file.path).exists():
                raise
            log.info("switch", step="unload first", old=old.file.name, new=file.name)
            self._serve(None)
            old_file = old.file
            staying = self._cache.shared.staying(old.part_keys, file, self._memory)
            if self._memory.apart:
                self._cache.keep(old)
            del old
            try:
                new = self._take_beside(staying, file, report)
            except Exception:
                self._serve(self._take(old_file, report))
                raise
            self._serve(new)
            return
        self._serve(new)
        if old is not None and old.file != file:
            self._cache.keep(old)

    def prefetch(self, file: ModelFile) -> bool:
        """Begin to load a checkpoint that will be wanted, beside the drawing. Never raises for the file.

        False if another one is being loaded: ask again.
        """
        return file == self.file or self._cache.prefetch(file)

    def _take_beside(self, staying: list[Any], file: ModelFile, report: Report | None) -> Checkpoint:
        """With parts that stay on the device: all of them as long as the rest goes whole beside them,
        then the backbone alone, while others wait outside; where not even that fits, nothing stays."""
        for count, whole in ((len(staying), True), (1, False)):
            del staying[count:]
            if any(one is not None for one in staying):
                with suppress(TooLarge):
                    return self._take(file, report, whole=whole)
        staying.clear()
        give_back(self.device)
        return self._take(file, report)

    def _take(self, file: ModelFile, report: Report | None, *, whole: bool = False) -> Checkpoint:
        """From memory if it is kept there, else from the disk. What is in memory for nobody goes before any
        of its weights have to wait outside the device (`whole`: they do not), and that before what serves."""
        while True:
            try:
                return self._taken(file, report, whole=True)
            except (TooLarge, torch.OutOfMemoryError) as error:
                if self.free_something():
                    continue
                if self._memory.apart and not whole:
                    break
                if isinstance(error, TooLarge):
                    raise
                # the card has no room for a copy that memory has
                raise TooLarge(file.name, file.size, self._memory.free(), self.device) from None
        return self._taken(file, report, whole=False)

    def _taken(self, file: ModelFile, report: Report | None, *, whole: bool) -> Checkpoint:
        return self._cache.take(file, report, whole=whole) or self._load(file, report, whole=whole)

    def _load(self, file: ModelFile, report: Report | None, *, whole: bool = False) -> Checkpoint:
        return load_checkpoint(
            file, device=self.device, dtype=self.dtype, report=report, memory=self._memory, whole=whole,
            others=self._others, shared=self._cache.shared,
        )  # fmt: skip

    def free_something(self) -> bool:
        """Have the device let go of something that nobody draws with; whether there was any."""
        if self._clear():
            return True
        if self.serving is not None and self.serving.let_go():
            return True
        return self._controls.drop_oldest() if self._memory.apart else self._let_go()

    def _let_go(self) -> bool:
        """The same of main memory: of checkpoints and control models that which was used least lately."""
        stores: list[CheckpointCache | ControlCache] = [self._cache]
        if not self._memory.apart:
            stores.append(self._controls)
        ages = [(age, store) for store in stores if (age := store.oldest()) is not None]
        return bool(ages) and min(ages, key=lambda one: one[0])[1].drop_oldest()

    def _serve(self, checkpoint: Checkpoint | None) -> None:
        if self.serving is not None:
            self.serving.adapters.clear()  # the one that goes may be kept, as its file has it
        self.serving = None
        self._memory.recorded = 0
        if checkpoint is not None:
            self.serving = Serving(
                checkpoint, self._controls, self._clock,
                compiling=self._compiling, recording=self._recording, memory=self._memory,
            )  # fmt: skip
        give_back(self.device)
        self._room.serve(checkpoint)
