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
# Of a layer in SVDQuant's four bits; those of 16 bits beside it are of whole numbers of 32.
_FACTORS = ".wscales"


def precision_of(header: Header) -> str:
    """That of most of the bytes: "fp16", "fp8", "q4_k", "svdq-int4"; "" for a file without tensors, and for
    one that holds another file whole."""
    if header.metadata.get("format") == _WRAPPED:
        return ""
    if (packed := _for_nunchaku(header)) is not None:
        return packed
    dtype = _most(header)
    return _WORDS.get(dtype, dtype.lower())


def _for_nunchaku(header: Header) -> str | None:
    """As names of such files begin; None for any other."""
    for name, factors in header.tensors.items():
        weight = header.tensors.get(name.removesuffix(_FACTORS) + ".qweight")
        if name.endswith(_FACTORS) and weight is not None and weight.dtype == "I8":
            return "svdq-fp4" if factors.dtype == "F8_E4M3" else "svdq-int4"
    return None


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
