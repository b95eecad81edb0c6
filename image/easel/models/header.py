"""The header of a safetensors file: which tensors it holds, of what type and shape, and where they lie.

Read by hand, without torch or the safetensors library, because the header is what tells a checkpoint from a
web page saved under its name, and because a file from a stranger must not be able to make the reader allocate
or read at will. The format: https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NoReturn

from easel.models.errors import CutShort, LyingHeader, MissingFile, NotSafetensors
from easel.models.file_signatures import foreign_format
from easel.models.former_names import path_now
from easel.models.header_table import NotText, read_table
from easel.remark import remark

# The format's own limit. It is compared with the file's size before a byte of the header is read.
HEADER_LIMIT = 100_000_000

# Weights of convolutions over video have five.
_MOST_DIMENSIONS = 16
# Bits of one element, by the format's names.
DTYPE_BITS: Mapping[str, int] = MappingProxyType(
    {
        "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "I32": 32, "U32": 32, "I64": 64, "U64": 64,
        "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
        "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: its type by the format's name, its shape, and its bytes from `begin` to before `end`.

    Offsets count from the start of the file, so that they can be given to a read call as they are.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.end - self.begin

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a safetensors file say.

    `tensors` in the order of their bytes in the file; `metadata` is the free text of the writer; the weights
    start at `header_bytes`; the file is `file_bytes` long.
    """

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    header_bytes: int
    file_bytes: int


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read and check the header of the safetensors file at `path`.

    Reads the header only, and never past the end of the file.
    Raises MissingFile, NotSafetensors, CutShort, LyingHeader.
    """
    return opened_header(path, read_header_from)


def opened_header(path: str | os.PathLike[str], read: Callable[[BinaryIO, int, str], Header]) -> Header:
    """What `read` makes of the open file, its size and its name. Raises MissingFile, and what `read` does."""
    name = Path(path).name
    try:
        with _opened(Path(path)) as file:
            return read(file, os.fstat(file.fileno()).st_size, name)
    except OSError as error:
        raise MissingFile(name, f"cannot be read ({error.strerror or error})") from error


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return open(path_now(path), "rb")


def read_header_from(file: BinaryIO, size: int, name: str) -> Header:
    """As `read_header`, of a file that will be `size` bytes long and of which at least the header is there.

    So a download can be refused after its first kilobytes.
    """
    start = file.read(min(9, size))
    end = header_end(start)
    if end is None:
        looks = foreign_format(start + file.read(max(0, min(1024, size) - len(start))), size)
        if looks is not None:
            raise NotSafetensors(name, looks)
        if len(start) < 9:
            raise CutShort(name, size, None)
        words = (
            "this is not a safetensors file, nor anything else that is known here; "
            "download the .safetensors file of the model"
        )
        raise NotSafetensors(name, remark("file_unknown", words))
    if end > size:
        raise CutShort(name, size, None)
    # Again from its first byte: put together, a hundred megabytes would be there twice.
    file.seek(-1, os.SEEK_CUR)
    text = file.read(end - 8)
    if len(text) != end - 8:
        raise CutShort(name, size, None)
    entries, metadata = _parse(text, end, name)
    del text
    tensors = _check(entries, end, size, name)
    return Header(MappingProxyType(tensors), MappingProxyType(metadata), end, size)


def header_end(start: bytes) -> int | None:
    """Where the weights begin, told by the first nine bytes; None for what begins no safetensors file."""
    length = int.from_bytes(start[:8], "little")
    return 8 + length if start[8:9] == b"{" and length <= HEADER_LIMIT else None


def _parse(text: bytes, start: int, name: str) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Tensors and metadata of the header whose weights begin at `start`."""
    found: dict[str, TensorInfo] = {}
    faults: list[LyingHeader] = []

    def take(key: str, value: object) -> None:
        if faults:
            return  # the first is enough, but a text that is damaged further on is said to be that
        try:
            found[key] = _entry(key, value, start, name)
        except LyingHeader as fault:
            faults.append(fault)

    try:
        metadata = read_table(text, take)
    except NotText:
        raise LyingHeader(
            name, "the header's metadata is not text; write the file again with the safetensors library"
        ) from None
    except ValueError as error:
        raise LyingHeader(
            name, f"the header is damaged ({_first_line(error)}); download the file again"
        ) from None
    if faults:
        raise faults[0]
    return found, metadata


def _check(tensors: dict[str, TensorInfo], start: int, size: int, name: str) -> dict[str, TensorInfo]:
    """Every tensor in the order of the bytes, without a gap, an overlap or bytes left over."""
    ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)))
    position = start
    for key, tensor in ordered.items():
        if tensor.begin != position:
            wrong = "overlaps the one before it" if tensor.begin < position else "leaves a gap before it"
            raise LyingHeader(name, f"tensor {_short(key)} {wrong}; download the file again")
        position = tensor.end
    if position > size:
        raise CutShort(name, size, position)
    if position < size:
        extra = size - position
        raise LyingHeader(
            name, f"{extra} bytes follow the last tensor; the file is damaged, download it again"
        )
    return ordered


def _entry(key: str, value: object, start: int, name: str) -> TensorInfo:
    def refuse(problem: str) -> NoReturn:
        raise LyingHeader(name, f"tensor {_short(key)} {problem}; download the file again")

    if not isinstance(value, dict):
        refuse("has no description")
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        refuse(f"is of the unknown type {_short(dtype)}")
    if not isinstance(shape, list) or not all(_is_count(one) for one in shape):
        refuse("has no shape")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_count(one) for one in offsets):
        refuse("has no place in the file")
    if len(shape) > _MOST_DIMENSIONS:
        refuse(f"has {len(shape)} dimensions")
    begin, end = offsets
    bits = math.prod(shape) * DTYPE_BITS[dtype]
    if end < begin or (end - begin) * 8 != bits:
        refuse(f"takes {end - begin} bytes where its type and shape need {bits / 8:g}" if bits < 2**60 else
               "is larger than any file")  # fmt: skip
    return TensorInfo(dtype, tuple(shape), start + begin, start + end)


def _is_count(value: object) -> bool:
    # Bounded, so that a product of them stays a number that can be printed.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:120] if lines else type(error).__name__
