"""Reading tensors out of a model file, in the type, layout and place that the modules want them in.

The file is read with ordinary reads, not mapped into memory: on network storage a mapped file is read page by
page (the same file took 16 minutes against one), and a mapped file that is cut short while it is read kills
the process, where a short read is an error message. The file is cut into stretches on page boundaries;
several threads read them, each with one call of the kernel that scatters a stretch straight into the tensors
it holds. Only what has to be converted passes through a thread's own scratch memory, so that at no time there
is more in memory than what was asked for and one stretch per thread.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

import torch

from easel.models import FileError, Header, Incomplete, Reader, TensorInfo, open_model
from easel.studio.engine.quantised.ggml_types import BLOCKS, stored_shape

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
# Numbers that are no weights, but may be read as numbers: diffusers writes a LoRA's alpha as an integer.
WHOLE = {
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
}  # fmt: skip
# Bytes read by one call, in whole blocks of the cache's checksums: enough to keep a stream from afar busy
# while others wait for their first byte, and so few calls that they cost nothing (2 GB from memory: 0.84 s,
# with a megabyte at a time 1.05 s).
STRETCH = 8 << 20
THREADS, FAR_THREADS = 4, 16

Progress = Callable[[int], None]


def memory_format(dimensions: int, device: torch.device) -> torch.memory_format:
    """The layout that a tensor is kept in.

    Convolutions on a GPU are faster with their channels last. On a CPU it is what they are given that tells,
    not their weights (`tiles` says when), and torch's GroupNorm is then less exact: nothing is turned round.
    """
    if dimensions == 4 and device.type == "cuda":
        return torch.channels_last
    return torch.contiguous_format


@dataclass(slots=True)
class _Tensor:
    """One tensor on its way.

    `memory` is its own memory, to read into; None where what is read has to be converted or moved first. Then
    it goes to `flat`, piece by piece. One that is `staged` has that made for it with its first piece, as the
    file has it, and is turned into `found` with its last.
    """

    name: str
    begin: int
    end: int
    found: torch.Tensor
    stored: torch.dtype
    staged: bool
    memory: memoryview | None
    left: int
    flat: torch.Tensor | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Weights:
    """An open file, safetensors or GGUF, whose header was read before. Use as a context manager.

    `reader` is the open file, which stays open; without it the file at `path` is opened as it is.
    """

    def __init__(
        self, path: Path, header: Header, *, threads: int | None = None, reader: Reader | None = None
    ) -> None:
        self._name, self._header = path.name, header
        self._own = reader is None
        self._reader = reader if reader is not None else open_model(path)
        if threads is None:
            # Who reads from afar waits; who reads from memory computes.
            threads = FAR_THREADS if self._reader.far else min(THREADS, os.cpu_count() or 1)
        self._threads = max(1, threads)
        self._scratch = threading.local()
        if self._reader.size != header.file_bytes:
            self.__exit__(FileError, None, None)
            raise FileError(self._name, "the file changed while it was being loaded; try again")

    def __enter__(self) -> Weights:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            self._reader.close(whole=kind is None)

    def read(
        self,
        names: Iterable[str],
        *,
        device: torch.device,
        dtype: torch.dtype,
        progress: Progress | None = None,
        whole: bool = False,
        keep: Collection[str] = frozenset(),
    ) -> dict[str, torch.Tensor]:
        """The tensors called `names`, as `dtype` on `device`, in the layout of `memory_format`.

        `whole`: integers are numbers too. Those called `keep` stay as they are stored, and of GGML's types
        all do: uint8, the last dimension in bytes. `progress` is told the bytes as they come, from any
        thread. Raises CutShort if the file ends early and Incomplete for a tensor stored as something that is
        no weight.
        """
        wanted = sorted(names, key=lambda name: self._header.tensors[name].begin)
        # The mode is a thread's own: what the caller made in it, the threads that read could not write to.
        with torch.inference_mode(False):
            tensors = [self._prepare(name, device, None if name in keep else dtype, whole) for name in wanted]
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="weights")
        try:
            futures = [
                pool.submit(self._stretch, begin, end, inside, device, progress)
                for begin, end, inside in self._stretches([one for one in tensors if one.end > one.begin])
            ]
            for future in futures:
                future.result()
        finally:
            # On an error the reads that have not begun are dropped, and those under way are waited for.
            pool.shutdown(wait=True, cancel_futures=True)
            self._scratch = threading.local()
        return {one.name: one.found for one in tensors}

    def _prepare(self, name: str, device: torch.device, dtype: torch.dtype | None, whole: bool) -> _Tensor:
        """Without a `dtype` it is read as it is stored."""
        info = self._header.tensors[name]
        if info.dtype in BLOCKS:
            stored, shape = torch.uint8, self._in_bytes(name, info)
            dtype = stored
        else:
            stored, shape = self._stored(name, info, whole or dtype is None), info.shape
        layout = memory_format(len(shape), device)
        found = torch.empty(shape, dtype=dtype or stored, device=device, memory_format=layout)
        # The device turns it round, so that main memory never holds it twice; and numbers that lie across the
        # bounds of stretches are put together first.
        staged = layout != torch.contiguous_format or info.begin % stored.itemsize != 0
        flat = None if staged else found.view(-1)
        as_stored = device.type == "cpu" and found.dtype == stored
        memory = _bytes(flat) if flat is not None and as_stored else None
        return _Tensor(name, info.begin, info.end, found, stored, staged, memory, info.nbytes, flat)

    def _stored(self, name: str, info: TensorInfo, whole: bool) -> torch.dtype:
        stored = DTYPES.get(info.dtype) or (WHOLE.get(info.dtype) if whole else None)
        if stored is None:
            raise Incomplete(
                self._name, f"{name} is stored as {info.dtype}, which holds no weights for this studio"
            )
        return stored

    def _in_bytes(self, name: str, info: TensorInfo) -> tuple[int, ...]:
        try:
            shape = stored_shape(info.dtype, info.shape)
        except ValueError:
            shape = ()
        if math.prod(shape) != info.nbytes:
            raise Incomplete(self._name, f"{name} is no whole blocks of {info.dtype}; download it again")
        return shape

    def _stretches(self, tensors: list[_Tensor]) -> Iterator[tuple[int, int, list[_Tensor]]]:
        """Stretches of the file that hold wanted bytes, each with the tensors in it, in the file's order."""
        index, size = 0, self._reader.size
        place = 0
        while index < len(tensors):
            place = max(place, tensors[index].begin // STRETCH * STRETCH)
            end = min(place + STRETCH, size)
            last = index
            while last < len(tensors) and tensors[last].begin < end:
                last += 1
            inside = tensors[index:last]
            if self._reader.checked:
                yield place, end, inside
            else:
                yield max(place, inside[0].begin), min(end, inside[-1].end), inside
            # The last one may go on in the next stretch.
            index = last - 1 if inside[-1].end > end else last
            place = end

    def _stretch(
        self, begin: int, end: int, inside: list[_Tensor], device: torch.device, progress: Progress | None
    ) -> None:
        """Read one stretch, and convert what was not read straight into its place."""
        scratch = self._borrow(end - begin, device)
        own = _bytes(scratch)
        buffers: list[memoryview] = []
        place = begin
        pieces: list[tuple[_Tensor, int, int]] = []
        for one in inside:
            first, last = max(one.begin, begin), min(one.end, end)
            if first > place:
                buffers.append(own[place - begin : first - begin])
            if one.memory is not None:
                buffers.append(one.memory[first - one.begin : last - one.begin])
            else:
                buffers.append(own[first - begin : last - begin])
            pieces.append((one, first, last))
            place = last
        if place < end:
            buffers.append(own[place - begin : end - begin])
        self._reader.readv(buffers, begin)
        for one, first, last in pieces:
            if one.memory is None:
                self._convert(one, scratch[first - begin : last - begin], first)
            with one.lock:
                one.left -= last - first
                complete = one.left == 0
            if complete and one.staged and one.flat is not None:
                one.found.copy_(one.flat.view(one.stored).view(one.found.shape))
                one.flat = None
            if progress is not None:
                progress(last - first)

    def _convert(self, one: _Tensor, piece: torch.Tensor, first: int) -> None:
        """Bytes of the file, in scratch memory, to their place in the tensor."""
        if one.staged:
            with one.lock:
                if one.flat is None:
                    one.flat = torch.empty(one.end - one.begin, dtype=torch.uint8, device=one.found.device)
            one.flat[first - one.begin : first - one.begin + piece.numel()].copy_(piece)
            return
        assert one.flat is not None  # noqa: S101 - only staged ones begin without
        if piece.storage_offset() % one.stored.itemsize:
            # A stretch begins where its first tensor does, which may be an odd place for the next one.
            piece = piece.clone()
        start = (first - one.begin) // one.stored.itemsize
        numbers = piece.view(one.stored)
        one.flat[start : start + numbers.numel()].copy_(numbers)

    def _borrow(self, size: int, device: torch.device) -> torch.Tensor:
        """This thread's scratch memory, of `size` bytes."""
        scratch: torch.Tensor | None = getattr(self._scratch, "memory", None)
        if scratch is None or scratch.numel() < size:
            # Pinned, a GPU fetches it without another copy on the way.
            self._scratch.memory = scratch = torch.empty(
                max(size, STRETCH), dtype=torch.uint8, pin_memory=device.type == "cuda"
            )
        return scratch[:size]


def _bytes(tensor: torch.Tensor) -> memoryview:
    """The memory of a flat tensor in main memory."""
    if not tensor.numel():
        return memoryview(b"")
    return memoryview(cast("Buffer", tensor.view(torch.uint8).numpy()))
