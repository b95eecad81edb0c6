"""GGUF files as the gguf package writes them, and their headers as its reader sees them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFWriter, quants

from easel.models import Header, TensorInfo

# The package can quantise to these, and expand all.
QUANTISED = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
EXPANDED = (*QUANTISED, "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")

# Where the scales of each type lie in a block, in half precision.
_HALVES = {
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "Q2_K": (80, 82),
    "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,), "IQ4_XS": (0,),
}  # fmt: skip


def blocks(kind: str, rows: int, blocks_in_row: int, seed: int) -> np.ndarray:
    """Random blocks: any bytes are some, but for the scales, which are numbers."""
    noise = np.random.default_rng(seed)
    size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]][1]
    found = noise.integers(0, 256, (rows * blocks_in_row, size), dtype=np.uint8)
    for place in _HALVES[kind]:
        scales = noise.normal(size=(len(found), 1)).astype(np.float16) / 512
        found[:, place : place + 2] = scales.view(np.uint8)
    return found.reshape(rows, blocks_in_row * size)


def quantised(kind: str, numbers: torch.Tensor) -> np.ndarray:
    """The numbers in blocks."""
    return quants.quantize(numbers.numpy().astype(np.float32), GGMLQuantizationType[kind])


def expanded(kind: str, packed: np.ndarray) -> torch.Tensor:
    """What the package says that they are: the judge."""
    return torch.from_numpy(quants.dequantize(packed, GGMLQuantizationType[kind]).copy())


def write(path: Path, tensors: Mapping[str, torch.Tensor | tuple[str, np.ndarray]]) -> Header:
    """A file of numbers as they are, and of blocks with the name of their type."""
    writer = GGUFWriter(path, "flux")
    for name, one in tensors.items():
        if isinstance(one, torch.Tensor):
            writer.add_tensor(name, one.numpy())
        else:
            writer.add_tensor(name, one[1], raw_dtype=GGMLQuantizationType[one[0]])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return header(path)


def header(path: Path) -> Header:
    """The header of a file."""
    reader = GGUFReader(path)
    found = {
        one.name: TensorInfo(
            one.tensor_type.name,
            tuple(int(size) for size in reversed(one.shape)),
            int(one.data_offset),
            int(one.data_offset + one.n_bytes),
        )
        for one in reader.tensors
    }
    return Header(MappingProxyType(found), MappingProxyType({}), 0, path.stat().st_size)
