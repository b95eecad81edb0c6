"""Which of a file's tensors are weights that are no plain numbers, and what belongs to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch

from easel.models import Incomplete, TensorInfo
from easel.studio.engine.quantised.eight_bits import EightBitWeight
from easel.studio.engine.quantised.four_bits import STATES, FourBitWeight, four_bit_weight
from easel.studio.engine.quantised.ggml import EXPANDED, GgmlWeight
from easel.studio.engine.quantised.ggml_types import BLOCKS

ReadSmall = Callable[[Sequence[str]], Mapping[str, torch.Tensor]]
"""Reads some small tensors of the file, as they are stored."""

MIXED = ".comfy_quant"
"""ComfyUI's mixed precision: X.comfy_quant is a JSON of how X.weight is packed."""

FLOATS = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}
"""Types of eight bits that stay as they are, by the format's names."""
_MIXED_FORMATS = {
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int8_tensorwise": "I8",
    "nvfp4": "U8",
}
_ROW_SCALES, _ROW_FORMAT = ".SCB", ".weight_format"
_OF_ROW_SCALES = 127.0
# The JSONs are of some hundred bytes.
_LARGEST_JSON = 1 << 16


def ggml_weights(file: str, words: str, tensors: Mapping[str, TensorInfo]) -> Iterator[GgmlWeight]:
    """Those of a GGUF file. Raises Incomplete for a type that cannot be drawn with."""
    for name, info in tensors.items():
        if info.dtype not in BLOCKS:
            continue
        if info.dtype not in EXPANDED:
            raise Incomplete(
                file,
                f"{name[:120]} of its {words} is stored as {info.dtype}, which cannot be drawn with; take a "
                "file in Q8_0, Q6_K, Q5_K or Q4_K",
            )
        if not info.shape or info.shape[-1] % BLOCKS[info.dtype][0]:
            raise Incomplete(
                file, f"the rows of {name[:120]} are no whole blocks of {info.dtype}; download it again"
            )
        yield GgmlWeight(name, info.shape, info.dtype)


def four_bit_weights(
    file: str, tensors: Mapping[str, TensorInfo], read: ReadSmall
) -> Iterator[FourBitWeight]:
    """Those of bitsandbytes' four bits. Raises Incomplete where what lies beside them does not fit."""
    states = {name.removesuffix(end): name for name in tensors for end in STATES if name.endswith(end)}
    for weight, state in states.items():
        table = weight + ".quant_map"
        if weight not in tensors or table not in tensors or tensors[table].numel != 16:
            raise Incomplete(file, f"{state[:120]} stands beside no weight of four bits; download it again")
    beside = read([*_small(file, tensors, states.values()), *(weight + ".quant_map" for weight in states)])
    for weight, state in states.items():
        yield four_bit_weight(file, weight, beside[state], beside[weight + ".quant_map"], tensors)


def eight_bit_weights(
    tensors: Mapping[str, TensorInfo], scales: Mapping[str, str], *, small: bool
) -> Iterator[EightBitWeight]:
    """Matrices in whole numbers with a scale, and, where they are to stay so (`small`), in floats of eight
    bits; all others have to be expanded in any case."""
    for name, info in tensors.items():
        if len(info.shape) != 2 or not name.endswith("weight"):
            continue
        if info.dtype in FLOATS and small:
            yield EightBitWeight(name, info.shape, FLOATS[info.dtype], scales.get(name, ""))
        if info.dtype == "I8" and name in scales:
            yield EightBitWeight(name, info.shape, torch.int8, scales[name])


def whole_number_weights(
    file: str, tensors: Mapping[str, TensorInfo], read: ReadSmall
) -> Iterator[tuple[EightBitWeight, tuple[str, ...]]]:
    """Those of bitsandbytes' eight bits, and the tensors that say how they lie. Raises Incomplete for one
    that lies otherwise than row by row, or has not a number for each."""
    scales = [name for name in tensors if name.endswith(_ROW_SCALES)]
    bases = {name: name.removesuffix(_ROW_SCALES) for name in scales}
    formats = [base + _ROW_FORMAT for base in bases.values() if base + _ROW_FORMAT in tensors]
    said = read(_small(file, tensors, formats))
    for name, base in bases.items():
        weight, form = tensors.get(f"{base}.weight"), base + _ROW_FORMAT
        if weight is None or (weight.dtype, len(weight.shape)) != ("I8", 2):
            raise Incomplete(file, f"{name[:120]} stands beside no weight of eight bits; download it again")
        if tensors[name].dtype != "F32" or tensors[name].numel != weight.shape[0]:
            raise Incomplete(file, f"{name[:120]} is no number for each row of its weight; download it again")
        if form in said and bool(said[form].any()):
            raise Incomplete(
                file, f"{form[:120]} says that its weight lies in the order of a GPU; take a file that was "
                "saved by bitsandbytes 0.39 or later",
            )  # fmt: skip
        found = EightBitWeight(f"{base}.weight", weight.shape, torch.int8, name, _OF_ROW_SCALES)
        yield found, (form,) if form in said else ()


def check_mixed(file: str, words: str, tensors: Mapping[str, TensorInfo], read: ReadSmall) -> set[str]:
    """The names of the JSONs of ComfyUI's mixed precision.

    Raises Incomplete for a layer in a format that is not read here, and where the weight is not in its
    format.
    """
    names = [name for name in tensors if name.endswith(MIXED)]
    for name, text in read(_small(file, tensors, names)).items():
        try:
            about = json.loads(bytes(text.flatten().tolist()))
            said = str(about["format"]) + (" of rotated rows" if about.get("convrot") else "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Incomplete(
                file, f"what is said in {name[:120]} cannot be read; download it again"
            ) from None
        weight = name.removesuffix(MIXED) + ".weight"
        dtype = _MIXED_FORMATS.get(said)
        if dtype is None:
            raise Incomplete(
                file,
                f"its {words} is quantised (ComfyUI's mixed precision, {said[:40]}; {name[:120]}), which is "
                "not understood; take a file in fp16, bf16 or fp8, or a GGUF file",
            )
        if weight not in tensors or tensors[weight].dtype != dtype:
            raise Incomplete(
                file, f"{weight[:120]} is not in {said}, as is said beside it; download it again"
            )
    return set(names)


def _small(file: str, tensors: Mapping[str, TensorInfo], names: Iterable[str]) -> list[str]:
    found = list(names)
    for name in found:
        if tensors[name].dtype != "U8" or tensors[name].nbytes > _LARGEST_JSON:
            raise Incomplete(file, f"{name[:120]} is no text of some hundred bytes; download it again")
    return found
