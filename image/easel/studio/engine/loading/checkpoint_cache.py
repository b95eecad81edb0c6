"""Checkpoints kept in main memory: those that served lately, and the one that will be wanted next.

Switching back to one is then a copy from memory, on a CPU not even that. What is kept is what nobody else
needs: the oldest goes as soon as less than a reserve of the machine's memory is left, and before anything
that serves would.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace

import psutil
import structlog
import torch

from easel.models import ModelError, ModelFile, folder_state, is_diffusers_folder, path_now
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.checkpoints.shared_parts import SharedParts, filled_from, packed_as
from easel.studio.engine.checkpoints.skeleton import is_empty, skeleton
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.loading.placing import homes, offloaded, planned, weight_bytes
from easel.studio.engine.memory.device_memory import DeviceMemory, available, give_back
from easel.studio.engine.memory.memory_plan import WeightPlacement

log = structlog.get_logger(__name__)

Report = Callable[[str, float], None]
_CPU = torch.device("cpu")
_MAIN = DeviceMemory(_CPU)
# Left free for whoever else works on this machine: pictures, the page, hashing, the file cache.
RESERVE_BYTES, RESERVE_SHARE = 1_000_000_000, 0.15


class CheckpointCache:
    """What is kept for a device in `dtype`. Used from the engine's thread; loads ahead on one of its own.

    `let_go` drops the least lately used of all that is in main memory for nobody, and says whether there was
    anything; without it, of what is kept here. `others` are the store's files, for the parts of a transformer
    that lie in files of their own.
    """

    def __init__(
        self,
        memory: DeviceMemory,
        dtype: torch.dtype,
        let_go: Callable[[], bool] | None = None,
        others: Callable[[], Iterable[ModelFile]] = tuple,
    ) -> None:
        self._memory, self._dtype, self._others = memory, dtype, others
        self._let_go = let_go or self.drop_oldest
        self.shared = SharedParts()
        self._used: dict[ModelFile, float] = {}
        self._kept: OrderedDict[ModelFile, Checkpoint] = OrderedDict()
        self._coming: tuple[ModelFile, Future[Checkpoint]] | None = None
        self._listener: Report | None = None
        self._tried: ModelFile | None = None

    def __contains__(self, file: ModelFile) -> bool:
        self._collect()
        return file in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep one that has served, if there is room; on a GPU a copy of it in main memory."""
        moved = self._memory.apart
        if moved and checkpoint.file in self._kept:  # it came from here, and no weight of it has changed
            self._kept.move_to_end(checkpoint.file)
            self._used[checkpoint.file] = time.monotonic()
            return
        need = checkpoint.nbytes - self.shared.bytes_of(checkpoint.part_keys, _MAIN)
        if not self.make_room(need if moved else 0):
            return
        try:
            self._kept[checkpoint.file] = copied(checkpoint, _MAIN, self.shared) if moved else checkpoint
            self._used[checkpoint.file] = time.monotonic()
        except (RuntimeError, MemoryError) as error:
            log.warning("not kept in memory", file=checkpoint.file.name, reason=str(error)[:200])

    def take(self, file: ModelFile, report: Report | None = None, *, whole: bool = True) -> Checkpoint | None:
        """The checkpoint on the device, if it is here or on its way, and the file is still the same.

        Raises TooLarge, or what the device says when it has no room; `whole`: for all its weights.
        """
        self._tried = None
        if self._coming is not None and self._coming[0] == file:
            self._listener = report
            with suppress(Exception):  # loading it for the one who waits says what is wrong
                self._coming[1].result()
            self._listener = None
        self._collect()
        kept = self._kept.get(file)
        if kept is None:
            return None
        if not all(map(_unchanged, (file, *file.encoders))):
            del self._kept[file]
            return None
        log.info("switch from memory", file=file.name, bytes=kept.nbytes)
        if not self._memory.apart:
            return self._kept.pop(file)
        self._kept.move_to_end(file)
        self._used[file] = time.monotonic()
        return copied(kept, self._memory, self.shared, whole=whole)

    def prefetch(self, file: ModelFile) -> bool:
        """Begin to load one that will be wanted; nothing happens where there is no room.

        False if another one is coming, so that this one has to wait.
        """
        self._collect()
        if self._coming is not None:
            return self._coming[0] == file
        # Asked at every turn of the loop: what did not work is tried again after the next switch.
        if file in self._kept or file == self._tried:
            return True
        self._tried = file
        if not self.make_room(self._to_read(file)):
            log.info("not loaded ahead: memory is short", file=file.name)
            return True
        future: Future[Checkpoint] = Future()
        self._coming = (file, future)
        threading.Thread(target=self._load, args=(file, future), name="prefetch", daemon=True).start()
        return True

    def oldest(self) -> float | None:
        """When that was used which `drop_oldest` would drop; None where there is nothing."""
        self._collect()
        return self._used[next(iter(self._kept))] if self._kept else None

    def drop_oldest(self) -> bool:
        """Let one go for something that needs the memory now. False if there is none."""
        self._collect()
        if not self._kept:
            return False
        file, _ = self._kept.popitem(last=False)
        log.info("not kept any longer", file=file.name)
        give_back(_CPU)
        return True

    def make_room(self, need: int) -> bool:
        """Have so many bytes of main memory free beside the reserve. False where that cannot be."""
        reserve = max(RESERVE_BYTES, int(psutil.virtual_memory().total * RESERVE_SHARE))
        while available(_CPU) - need < reserve:
            if not self._let_go():
                return False
        return True

    def _to_read(self, file: ModelFile) -> int:
        """Bytes of what is not in main memory yet; a half precision file may have to be widened."""
        unread = [one.size for one in (file, *file.encoders) if not self.shared.holds(one, _MAIN)]
        return int(sum(unread) * max(1.0, self._dtype.itemsize / 2))

    def _load(self, file: ModelFile, future: Future[Checkpoint]) -> None:
        with suppress(AttributeError, OSError):
            # This thread and those it starts: who draws now comes first.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        try:
            loaded = load_checkpoint(
                file,
                device=_CPU,
                dtype=self._dtype,
                report=self._tell,
                others=self._others,
                shared=self.shared,
            )
            future.set_result(loaded)
        except Exception as error:
            log.info("not loaded ahead", file=file.name, reason=str(error)[:300])
            future.set_exception(error if isinstance(error, ModelError) else RuntimeError(str(error)))

    def _tell(self, step: str, share: float) -> None:
        listener = self._listener
        if listener is not None:
            listener(step, share)

    def _collect(self) -> None:
        """Put what has come into the cache."""
        if self._coming is None or not self._coming[1].done():
            return
        (file, future), self._coming = self._coming, None
        if future.exception() is None:
            self._kept[file] = future.result()
            self._used[file] = time.monotonic()


def copied(
    checkpoint: Checkpoint, memory: DeviceMemory, shared: SharedParts | None = None, *, whole: bool = True
) -> Checkpoint:
    """The checkpoint again on another device, in the layout that is used there, or the part
    that there is room for unless it has to be `whole`. Costs one copy of its bytes, but for parts that
    are there (`shared`). Raises TooLarge."""
    shared = shared or SharedParts()
    bones = skeleton(checkpoint.family)
    both = zip(bones.text_encoders, checkpoint.text_encoders, strict=True)
    bones.text_encoders = tuple(module if original is not None else None for module, original in both)
    there = shared.take(checkpoint.part_keys, bones, memory, whole=whole or not memory.apart)
    words = ("UNet", "VAE", *["text encoder"] * len(bones.text_encoders))
    wanted = [
        (name, module, original)
        for name, module, original in zip(words, bones.parts, checkpoint.parts, strict=True)
        if original is not None and is_empty(module)
    ]
    for _, module, original in wanted:
        packed_as(module, original)
    plan = None
    if memory.apart:
        weights = weight_bytes(bones, checkpoint.dtype, memory.device)
        plan = planned(
            checkpoint.file.name,
            checkpoint.family,
            weights,
            checkpoint.dtype,
            memory,
            there=there,
            whole=whole,
        )
    placement = WeightPlacement.WHOLE if plan is None else plan.placement
    places = homes(placement, memory.device)
    for name, module, original in wanted:
        filled_from(module, original, places[name])
    offload = offloaded(bones, placement, memory)
    shared.add(checkpoint.part_keys, bones.parts, memory, placement)
    return replace(
        checkpoint, backbone=bones.backbone, vae=None if checkpoint.vae is None else bones.vae,
        text_encoders=bones.text_encoders, device=memory.device, plan=plan,
        offload=offload,
    )  # fmt: skip


def _unchanged(file: ModelFile) -> bool:
    """Whether the file is the one that was loaded. Storage that went away takes nothing from memory."""
    try:
        path = path_now(file.path)
        if is_diffusers_folder(path):
            return folder_state(path) == (file.size, file.mtime)
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        log.warning("storage is away; drawing from memory", file=file.name, reason=error.strerror)
        return True
    return (status.st_size, status.st_mtime) == (file.size, file.mtime)
