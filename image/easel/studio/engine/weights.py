"""Reading tensors out of a safetensors file, in the type, layout and place that the modules want them in.

The file is read with ordinary reads, not mapped into memory: on network storage a mapped file is read page by
page (the same file took 16 minutes against one), and a mapped file that is cut short while it is read kills
the process, where a short read is an error message. Several threads read at once; each tensor is converted
right after it was read, so that at no time there is more in memory than what was asked for and one tensor per
thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

import torch

from easel.models import CutShort, FileError, Header, Incomplete, MissingFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
# One read call of the kernel moves at most 2 GiB.
_READ = 1 << 30
# Bytes that are read and then converted at a time; a processor's cache holds them.
_PIECE = 1 << 20
THREADS = 4

Progress = Callable[[int], None]


def memory_format(dimensions: int, device: torch.device) -> torch.memory_format:
    """The layout that a tensor is kept in.

    Convolutions on a GPU are faster with their channels last. On a CPU they are not (measured: equal within
    noise for UNet and VAE), and torch's GroupNorm is then less exact by a factor of 30 to 300, so there
    nothing is turned round.
    """
    if dimensions == 4 and device.type == "cuda":
        return torch.channels_last
    return torch.contiguous_format


class Weights:
    """An open safetensors file whose header was read before. Use as a context manager."""

    def __init__(self, path: Path, header: Header, *, threads: int = THREADS) -> None:
        self._name = path.name
        self._header = header
        self._threads = max(1, min(threads, os.cpu_count() or 1))
        self._scratch = threading.local()
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise MissingFile(self._name, f"cannot be read ({error.strerror})") from error
        size = os.fstat(self._file.fileno()).st_size
        if size != header.file_bytes:
            self._file.close()
            raise FileError(self._name, "the file changed while it was being loaded; try again")

    def __enter__(self) -> Weights:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(
        self,
        names: Iterable[str],
        *,
        device: torch.device,
        dtype: torch.dtype,
        progress: Progress | None = None,
    ) -> dict[str, torch.Tensor]:
        """The tensors called `names`, as `dtype` on `device`, in the layout of `memory_format`.

        `progress` is told the bytes of each tensor, from any thread. Raises CutShort if the file ends early
        and Incomplete for a tensor stored as something that is no weight.
        """
        wanted = sorted(names, key=lambda name: self._header.tensors[name].begin)
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="weights")
        try:
            futures = [pool.submit(self._one, name, device, dtype, progress) for name in wanted]
            return {name: future.result() for name, future in zip(wanted, futures, strict=True)}
        finally:
            # On an error the reads that have not begun are dropped, and those under way are waited for.
            pool.shutdown(wait=True, cancel_futures=True)
            self._scratch = threading.local()

    def _one(
        self, name: str, device: torch.device, dtype: torch.dtype, progress: Progress | None
    ) -> torch.Tensor:
        info = self._header.tensors[name]
        stored = DTYPES.get(info.dtype)
        if stored is None:
            raise Incomplete(
                self._name, f"{name} is stored as {info.dtype}, which holds no weights for this studio"
            )
        layout = memory_format(len(info.shape), device)
        found = torch.empty(info.shape, dtype=dtype, device=device, memory_format=layout)
        if stored == dtype and device.type == "cpu":
            self._fill(found.view(-1), info.begin)
        elif layout == torch.contiguous_format:
            # In pieces that stay in the processor's cache between being read and being converted.
            flat, step = found.view(-1), _PIECE // stored.itemsize
            for start in range(0, info.numel, step):
                piece = flat[start : start + step]
                place = info.begin + start * stored.itemsize
                piece.copy_(self._fill(self._borrow(piece.numel(), stored, device), place))
        else:
            # The device turns it round; main memory holds it as the file does.
            whole = self._fill(self._borrow(info.numel, stored, device), info.begin)
            found.copy_(whole.view(info.shape))
        if progress is not None:
            progress(info.nbytes)
        return found

    def _borrow(self, count: int, stored: torch.dtype, device: torch.device) -> torch.Tensor:
        """This thread's scratch memory for `count` numbers as the file stores them."""
        size = count * stored.itemsize
        scratch: torch.Tensor | None = getattr(self._scratch, "memory", None)
        if scratch is None or scratch.numel() < size:
            # Pinned, a GPU fetches it without another copy on the way.
            pinned = device.type == "cuda"
            self._scratch.memory = scratch = torch.empty(
                max(size, _PIECE), dtype=torch.uint8, pin_memory=pinned
            )
        return scratch[:size].view(stored)

    def _fill(self, target: torch.Tensor, place: int) -> torch.Tensor:
        """Read the file's bytes from `place` on into `target`, which is flat and in main memory."""
        size = target.numel() * target.itemsize
        if size == 0:
            return target
        buffer = memoryview(cast("Buffer", target.view(torch.uint8).numpy()))
        done = 0
        while done < size:
            try:
                got = os.preadv(self._file.fileno(), [buffer[done : done + _READ]], place + done)
            except OSError as error:
                raise MissingFile(self._name, f"reading it failed ({error.strerror}); try again") from error
            if got == 0:
                raise CutShort(self._name, place + done, self._header.file_bytes)
            done += got
        return target
