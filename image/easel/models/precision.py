"""How precise a file's weights are: in words, and as a rank among files that hold the same."""

from __future__ import annotations

import re
from collections import Counter

from easel.models.header import Header

_WORDS = {
    "F16": "fp16", "BF16": "bf16", "F32": "fp32", "F64": "fp64", "F8_E4M3": "fp8", "F8_E5M2": "fp8",
}  # fmt: skip
# 16 bits before 32: as good to draw with, and half as large.
_RANKS = {"BF16": 0, "F16": 0, "F32": 1, "F64": 2}
_BITS = re.compile(r"[A-Z]+(\d)")
_UNKNOWN = 100
# Of a file that holds an ONNX file (conversion/onnx_file.py), whose bytes are no numbers.
_WRAPPED = "onnx"


def precision_of(header: Header) -> str:
    """That of most of the bytes: "fp16", "fp8", "q4_k"; "" for a file without tensors, and for one that holds
    another file whole."""
    if header.metadata.get("format") == _WRAPPED:
        return ""
    dtype = _most(header)
    return _WORDS.get(dtype, dtype.lower())


def precision_rank(header: Header) -> int:
    """Less is more precise, for whoever has to choose one of several files of the same part."""
    dtype = _most(header)
    if dtype in _RANKS:
        return _RANKS[dtype]
    bits = _BITS.match(dtype)
    return 20 - int(bits[1]) if bits else _UNKNOWN


def _most(header: Header) -> str:
    sizes: Counter[str] = Counter()
    for tensor in header.tensors.values():
        sizes[tensor.dtype] += tensor.nbytes
    most = sizes.most_common(1)
    return most[0][0] if most else ""
