"""The header of a GGUF file: which tensors it holds, of what type and shape, and where they lie.

Read by hand, as header.py reads safetensors: every length in it is a stranger's word, and is compared with
what is left of the file before a byte is read for it. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, the low byte first). Offsets are
what ggml's own reader asks for: each tensor begins where the padding of the one before it ends.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import BinaryIO, NoReturn

from easel.models.errors import CutShort, LyingHeader
from easel.models.header import HEADER_LIMIT, Header, TensorInfo
from easel.models.header_table import MOST_TENSORS

MAGIC = b"GGUF"
ALIGNMENT = "general.alignment"
ORIGINAL_SHAPE = "comfy.gguf.orig_shape."
"""Before a tensor's name: the shape that ComfyUI-GGUF took from it, where rows did not fill whole blocks."""

GGML_TYPES: Mapping[int, tuple[str, int, int]] = MappingProxyType(
    {
        0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
        7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84),
        11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
        15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
        19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
        23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
        28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54),
        35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
    }
)  # fmt: skip
"""GGML's types by their numbers: name, weights in a block, and bytes of a block."""

_VERSIONS = (2, 3)
_STRING, _ARRAY, _BOOL = 8, 9, 7
# struct's letters of the metadata's plain types.
_PLAIN = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_COUNTS = frozenset({4, 5, 10, 11})
_MOST_DIMENSIONS = 8
_MOST_NAMES, _MOST_TEXTS = 4_000_000, 6_000_000
# Of a metadata key or a tensor: ggml's own limits are 65535 and 64 bytes.
_LONGEST_NAME = 4096
# The words of a language model's vocabulary and how they merge: Gemma's are 262 144 and 514 906.
_MOST_ITEMS = 4_000_000
_DEEPEST = 3
_WINDOW = 1 << 16


class HeaderNotYet(Exception):
    """The file is still coming, and its header goes on where it ends so far."""


def is_gguf(start: bytes) -> bool:
    """Whether a file that begins so says that it is GGUF."""
    return start[:4] == MAGIC


def read_gguf_header_from(file: BinaryIO, size: int, name: str, *, there: int | None = None) -> Header:
    """Read and check the header of a GGUF file of `size` bytes, of which `there` are there (None: all).

    `file` stands at its first byte, which `is_gguf` knows. Raises HeaderNotYet, CutShort, LyingHeader.
    """
    bytes_ = _Bytes(file, size, name, size if there is None else min(there, size))
    bytes_.skip(len(MAGIC))
    version = bytes_.number("I")
    if version not in _VERSIONS:
        swapped = int.from_bytes(struct.pack("<I", version), "big") in _VERSIONS
        what = "for machines that put the high byte first" if swapped else f"of version {version}"
        raise LyingHeader(name, f"this is a GGUF file {what}, which is not read here; take another one")
    tensors, entries = bytes_.number("Q"), bytes_.number("Q")
    if tensors > MOST_TENSORS or entries > MOST_TENSORS:
        bytes_.refuse(f"the header claims {max(tensors, entries)} entries")
    metadata = _Metadata(bytes_, entries)
    described = list(_described(bytes_, tensors))
    found = _placed(described, metadata, bytes_)
    start = min(_padded(bytes_.position, metadata.alignment), size)
    return Header(MappingProxyType(found), MappingProxyType(metadata.texts), start, size)


class _Bytes:
    """The header's bytes, from the first on. What is asked for is never more than is left of the header."""

    def __init__(self, file: BinaryIO, size: int, name: str, there: int) -> None:
        self._file, self.size, self.name, self._there = file, size, name, there
        self._window, self._at, self._read = b"", 0, 0

    @property
    def position(self) -> int:
        """Bytes from the start of the file."""
        return self._read - len(self._window) + self._at

    def number(self, letter: str) -> int:
        """The next number, by struct's letter of its type."""
        (value,) = struct.unpack("<" + letter, self.take(struct.calcsize("<" + letter)))
        return value  # type: ignore[no-any-return]

    def take(self, count: int) -> bytes:
        """The next bytes."""
        self._check(count)
        if len(self._window) - self._at < count:
            rest = self._window[self._at :]
            wanted = min(max(count - len(rest), _WINDOW), self._there - self._read)
            more = self._file.read(wanted)
            self._window, self._at = rest + more, 0
            self._read += len(more)
            if len(self._window) < count:
                raise CutShort(self.name, self.position, None)
        self._at += count
        return self._window[self._at - count : self._at]

    def skip(self, count: int) -> None:
        """Go past the next bytes."""
        self._check(count)
        within = min(count, len(self._window) - self._at)
        self._at += within
        if count > within:
            self._window, self._at = b"", 0
            self._file.seek(count - within, 1)
            self._read += count - within

    def text(self, longest: int, what: str) -> str:
        """The next string. Raises LyingHeader for one that is longer than `longest`, or no text."""
        count = self.number("Q")
        if count > longest:
            self.refuse(f"{what} has {count} bytes")
        try:
            return self.take(count).decode()
        except UnicodeDecodeError:
            self.refuse(f"{what} is no text")

    def refuse(self, problem: str) -> NoReturn:
        """Raise LyingHeader."""
        raise LyingHeader(self.name, f"{problem}; the file is damaged, download it again")

    def _check(self, count: int) -> None:
        end = self.position + count
        if end > HEADER_LIMIT:
            self.refuse(f"its header is longer than {HEADER_LIMIT} bytes")
        if end > self.size:
            raise CutShort(self.name, self.size, None)
        if end > self._there:
            raise HeaderNotYet


class _Metadata:
    """The table before the tensors: texts and numbers are kept as texts, lists are gone past."""

    def __init__(self, file: _Bytes, entries: int) -> None:
        self.texts: dict[str, str] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.alignment = 32
        self._file, self._left, self._items = file, _MOST_TEXTS, _MOST_ITEMS
        seen: set[str] = set()
        for _ in range(entries):
            key = file.text(_LONGEST_NAME, "a name")
            if key in seen:
                file.refuse(f"the entry {key[:80]!r} occurs twice")
            seen.add(key)
            self._left -= len(key)
            if self._left < 0:
                file.refuse("its metadata has too much text")
            self._take(key, file.number("I"))

    def _take(self, key: str, kind: int) -> None:
        file = self._file
        if kind == _STRING:
            self._take_text(key)
        elif kind == _ARRAY:
            self._take_list(key)
        elif kind in _PLAIN:
            value = file.number(_PLAIN[kind])
            self.texts[key] = str(bool(value)).lower() if kind == _BOOL else str(value)
            if key == ALIGNMENT:
                self._align(value, kind)
        else:
            file.refuse(f"the entry {key[:80]!r} is of the unknown type {kind}")

    def _align(self, value: int, kind: int) -> None:
        if kind != 4 or value & (value - 1) or not 1 <= value <= 1 << 20:
            self._file.refuse(f"its alignment is {value}, which is no power of two")
        self.alignment = value

    def _take_text(self, key: str) -> None:
        count = self._file.number("Q")
        if count > self._left:
            self._file.skip(count)  # a chat template, a licence: nobody asks for it
            return
        self.texts[key] = self._file.take(count).decode(errors="replace")
        self._left -= count

    def _take_list(self, key: str) -> None:
        kind, count = self._file.number("I"), self._file.number("Q")
        if key.startswith(ORIGINAL_SHAPE) and kind in _COUNTS and count <= _MOST_DIMENSIONS:
            sizes = tuple(self._file.number(_PLAIN[kind]) for _ in range(count))
            self.shapes[key.removeprefix(ORIGINAL_SHAPE)] = sizes
            return
        self._skip_list(kind, count, 1)

    def _skip_list(self, kind: int, count: int, depth: int) -> None:
        file = self._file
        if kind in _PLAIN:
            # Bounded before it is multiplied out: a claim of 2^63 items is a number like any other.
            file.skip(count * struct.calcsize("<" + _PLAIN[kind]))
            return
        self._items -= count
        if kind not in (_STRING, _ARRAY) or self._items < 0 or depth > _DEEPEST:
            file.refuse("its metadata holds a list that is too long, too deep or of an unknown type")
        for _ in range(count):
            if kind == _STRING:
                file.skip(file.number("Q"))
            else:
                self._skip_list(file.number("I"), file.number("Q"), depth + 1)


_Described = tuple[str, tuple[int, ...], int, int]
"""A tensor's name, its sizes as they stand (the last dimension first), its type and its offset."""


def _described(file: _Bytes, count: int) -> Iterator[_Described]:
    names, letters = set[str](), 0
    for _ in range(count):
        name = file.text(_LONGEST_NAME, "a tensor's name")
        letters += len(name)
        if name in names:
            file.refuse(f"the tensor {name[:80]!r} occurs twice")
        if letters > _MOST_NAMES:
            file.refuse("it names its tensors at too great a length")
        names.add(name)
        dimensions = file.number("I")
        if dimensions > _MOST_DIMENSIONS:
            file.refuse(f"tensor {name[:80]!r} has {dimensions} dimensions")
        sizes = tuple(file.number("Q") for _ in range(dimensions))
        yield name, sizes, file.number("I"), file.number("Q")


def _placed(described: list[_Described], metadata: _Metadata, file: _Bytes) -> dict[str, TensorInfo]:
    """Every tensor in its place, side by side but for the padding. Raises CutShort, LyingHeader."""
    start = _padded(file.position, metadata.alignment)
    found: dict[str, TensorInfo] = {}
    position = end = start
    for name, sizes, kind, offset in described:
        if start + offset != position:
            file.refuse(f"tensor {name[:80]!r} does not lie behind the one before it")
        dtype, count = _bytes_of(name, sizes, kind, file)
        end = position + count
        shape = metadata.shapes.get(name, ())
        whole = shape if shape and math.prod(shape) == math.prod(sizes) else tuple(reversed(sizes))
        found[name] = TensorInfo(dtype, whole, position, end)
        position = _padded(end, metadata.alignment)
    if end > file.size and found:
        raise CutShort(file.name, file.size, end)
    if found and file.size > position:
        file.refuse(f"{file.size - position} bytes follow the last tensor")
    return found


def _bytes_of(name: str, sizes: tuple[int, ...], kind: int, file: _Bytes) -> tuple[str, int]:
    """The name of a tensor's type, and how many bytes it takes. Raises LyingHeader."""
    if kind not in GGML_TYPES:
        file.refuse(f"tensor {name[:80]!r} is of the unknown type {kind}")
    dtype, per_block, block_bytes = GGML_TYPES[kind]
    row = sizes[0] if sizes else 1
    if row % per_block:
        file.refuse(f"tensor {name[:80]!r} has rows of {row} weights, which are no whole blocks of {dtype}")
    count = math.prod(sizes) // per_block * block_bytes
    if count > 2**60:
        file.refuse(f"tensor {name[:80]!r} is larger than any file")
    return dtype, count


def _padded(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment
