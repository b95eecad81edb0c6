"""How much memory there is for a checkpoint, asked before a byte of it is read."""

from __future__ import annotations

import ctypes
import gc
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from easel.models import FileError, gigabytes

# What allocators round up of weights.
SLACK = 1.05
# What kernels, their libraries' workspaces and half-made pictures take beside weights and activations. Of a
# CPU measured (docs/performance.md), of a GPU on paper.
WORKSPACE = {"cpu": 200_000_000, "cuda": 700_000_000}
# Memory of the GPUs that a team can choose from, in 10^9 bytes, with the shape's name in a stack file.
_SHAPES = (
    (16, "gpu.t4"),
    (24, "gpu.l4 or gpu.a10"),
    (40, "gpu.a100-40gb"),
    (48, "gpu.l40s"),
    (80, "gpu.h100"),
)
# What driver and CUDA context take of a card before the first tensor.
_DRIVER = 1_000_000_000


class TooLarge(FileError):
    """The model does not fit into what memory is free. `need` and `have` in bytes."""

    def __init__(self, name: str, need: int, have: int, device: torch.device) -> None:
        where = "GPU memory" if device.type == "cuda" else "memory"
        problem = f"it needs {gigabytes(need)} of {where} and {gigabytes(have)} are free"
        super().__init__(name, f"{problem}; {shape_advice(need, device)}")
        self.need = need
        self.have = have


class DeviceMemory:
    """The memory that a device draws in: how much is free, and how weights get there."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.recorded = 0
        """Bytes that recorded calls keep for themselves: torch counts them as its own and free."""

    @property
    def place(self) -> str:
        """What tells it from other memory: of what lies here nothing needs to be brought here again."""
        return self.device.type

    @property
    def apart(self) -> bool:
        """Whether it is apart from the machine's, so that weights may wait there."""
        return self.device.type != "cpu"

    def free(self) -> int:
        """Bytes that can be had now."""
        return available(self.device) - self.recorded

    def capacity(self) -> int:
        """Bytes that could ever be had by this process, whatever else it let go."""
        if self.device.type == "cuda":
            return int(torch.cuda.get_device_properties(self.device).total_memory) - _DRIVER
        used = psutil.Process().memory_info().rss
        return min(psutil.virtual_memory().total, used + available(self.device))

    def waiting(self, weights: torch.Tensor) -> torch.Tensor:
        """How weights wait in main memory to be `brought`: a GPU fetches what is pinned without a copy, and
        while it computes."""
        layout = torch.channels_last if weights.dim() == 4 else torch.contiguous_format
        return weights.contiguous(memory_format=layout).pin_memory()

    def brought(self, weights: torch.Tensor) -> torch.Tensor:
        """A copy on the device."""
        return weights.to(self.device, non_blocking=True)


def check_room(name: str, weights: int, scratch: int, device: torch.device) -> None:
    """Raise TooLarge unless `weights` bytes, and `scratch` more while they are read, fit on `device` now."""
    need, have = needed(weights, device), available(device)
    if need + (scratch if device.type == "cpu" else 0) > have:
        raise TooLarge(name, need, have, device)


def needed(weights: int, device: torch.device) -> int:
    """Bytes that a model with this many bytes of weights takes, before anything is drawn."""
    return int(weights * SLACK) + WORKSPACE.get(device.type, 0)


def available(device: torch.device) -> int:
    """Bytes that can be had on `device` without anything being killed or swapped."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch holds but does not use is free for the next tensor.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min([psutil.virtual_memory().available, *_cgroup_rooms()])


def share_of(device: torch.device, gpu_share: float, cpu_bytes: int) -> int:
    """Bytes of a bound that is a share of a GPU's memory, or so many of the machine's."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * gpu_share)
    return cpu_bytes


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says so: torch's is a plain RuntimeError on a CPU, numpy's and Pillow's a
    MemoryError."""
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "can't allocate memory" in str(error)
        or "CUBLAS_STATUS_ALLOC_FAILED" in str(error)
    )


def forget_frames(error: BaseException) -> None:
    """Let go of what the frames of an error, and of its causes, hold in their local variables: a failed
    call's tensors would stay for as long as the error does, which is as long as its job is remembered."""
    behind: BaseException | None = error
    while behind is not None:
        traceback.clear_frames(behind.__traceback__)
        behind = behind.__cause__


def give_back(device: torch.device) -> None:
    """Return what was freed to the system: collect cycles, empty torch's GPU cache, trim all threads' heaps.

    Without the trim the C library keeps most of a checkpoint's memory for itself, which looks like a leak and
    is one for whoever else needs it.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _cgroup_rooms() -> Iterator[int]:
    """Bytes left under each limit that a container or service manager put on this process."""
    root = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        version2 = controllers == ""
        top = root if version2 else root / "memory"
        here = top / path.lstrip("/")
        for folder in (here, *here.parents):
            room = _room(folder, version2)
            if room is not None:
                yield room
            if folder == top:
                break


def _room(folder: Path, version2: bool) -> int | None:
    limit_name, usage_name = (
        ("memory.max", "memory.current") if version2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    )
    try:
        limit = (folder / limit_name).read_text().strip()
        if limit == "max" or int(limit) > 1 << 60:
            return None
        usage = int((folder / usage_name).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    # Cached file pages count as used but are given back on demand.
    cache = int(stat.get("inactive_file", stat.get("total_inactive_file", 0)))
    return max(0, int(limit) - usage + cache)


def shape_advice(need: int, device: torch.device) -> str:
    """Where so many bytes would fit, in words."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        if need + _DRIVER <= total:
            return "it would fit on this GPU if nothing else used it"
    for size, shape in _SHAPES:
        if need + _DRIVER <= size * 1_000_000_000:
            return f"a GPU with {size} GB would hold it (shape {shape})"
    return "no GPU shape holds it in this precision"
