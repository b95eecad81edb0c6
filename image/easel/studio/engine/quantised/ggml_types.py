"""GGML's types of blocks, as GGUF files hold them: so many numbers in so many bytes.

The bytes of a row are whole blocks, so that rows can be taken apart without unpacking them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gguf import GGML_QUANT_SIZES

# Types of plain numbers: they are read as any other file's.
_PLAIN = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8")

BLOCKS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {kind.name: size for kind, size in GGML_QUANT_SIZES.items() if kind.name not in _PLAIN}
)
"""Numbers and bytes of one block, by the type's name."""


def stored_shape(kind: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in bytes of a tensor of this type and shape. Raises ValueError where a row is no whole
    number of blocks."""
    numbers, size = BLOCKS[kind]
    if not shape or shape[-1] % numbers:
        raise ValueError(f"rows of {shape[-1] if shape else 0} are no whole blocks of {numbers}")
    return (*shape[:-1], shape[-1] // numbers * size)
