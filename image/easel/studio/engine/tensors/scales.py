"""Tensors that stand beside weights and change them: understood and applied, or refused in words.

A weight that is stored as eight bits with a scale beside it (`X.scale_weight`, as ComfyUI writes it, or
`X.weight_scale`) is noise without it, and one of four bits (bitsandbytes) without its table and its factors.
Nobody can list every scheme, so the rule goes by the place: what stands beside a weight that is used, and is
not known to be harmless, means that the weight is not what it seems to be.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch

from easel.models import Incomplete, TensorInfo
from easel.studio.engine.quantised.numbers_check import check_finite
from easel.studio.engine.quantised.nunchaku_tensors import nunchaku_tensors
from easel.studio.engine.quantised.nvfp4 import nvfp4_weights
from easel.studio.engine.quantised.stored_weight import StoredTensor
from easel.studio.engine.quantised.stored_weights import (
    ReadSmall,
    check_mixed,
    eight_bit_weights,
    four_bit_weights,
    ggml_weights,
    whole_number_weights,
)
from easel.studio.engine.tensors.weights import DTYPES

# What activations are divided by where a GPU multiplies eight bits; here it multiplies sixteen or more.
_HARMLESS = (".scale_input", ".input_scale", ".scaled_fp8", ".position_ids", ".num_batches_tracked")
_SCALES = (".scale_weight", ".weight_scale")
_SCHEMES = (
    # before GPTQ, which has a .qweight too
    ((".wscales", ".smooth", ".smooth_factor"), "SVDQuant, for nunchaku, in layers that are not known here"),
    (
        (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ".quant_state.", ".SCB"),
        "bitsandbytes",
    ),
    ((".comfy_quant",), "ComfyUI's mixed precision"),
    ((".qweight", ".qzeros", ".g_idx"), "GPTQ or AWQ"),
    (("._data", "._scale", "._shift"), "quanto"),
    ((".zero_point", ".weight_zero_point"), "whole numbers with a zero point"),
    ((".weight_scale_inv", ".weight_scale_2"), "scales of blocks"),
)


@dataclass
class Choice:
    """The tensors of a part: those to be converted, the scale of each weight that is to be multiplied by it,
    and those that are no plain numbers, by name. Of these some are not called so in the file: `weights` are
    without them and what they are made of."""

    weights: list[str]
    scales: dict[str, str] = field(default_factory=dict)
    stored: dict[str, StoredTensor] = field(default_factory=dict)


def choose(
    file: str, words: str, tensors: Mapping[str, TensorInfo], read: ReadSmall | None = None, *,
    small: bool = False,
) -> Choice:  # fmt: skip
    """Weights and what belongs to them among `tensors`.

    `read` is for what is said in tensors, not in the header (bitsandbytes, ComfyUI's mixed precision), which
    is refused without it. `small`: weights in eight bits are to stay so. Raises Incomplete for schemes that
    are known and not understood.
    """
    found = Choice([])
    found.stored = {one.name: one for one in ggml_weights(file, words, tensors)}
    taken: set[str] = set()
    if read is not None:
        taken |= check_mixed(file, words, tensors, read)
        for weight in four_bit_weights(file, tensors, read):
            found.stored[weight.name] = weight
            taken.update((*weight.beside, *weight.described_by))
        for whole, beside in whole_number_weights(file, tensors, read):
            found.stored[whole.name] = whole
            taken.update((*whole.beside, *beside))
    for small_one in nvfp4_weights(file, tensors):
        found.stored[small_one.name] = small_one
        taken.update(small_one.beside)
    made, parts = nunchaku_tensors(file, tensors)
    for one in made:
        if one.name in tensors and one.name not in parts:
            raise Incomplete(file, f"{one.name[:120]} of its {words} is there twice; download it again")
        found.stored[one.name] = one
    taken |= parts
    rest = {name: one for name, one in tensors.items() if name not in taken}
    _refuse(file, words, rest)
    found.scales = _scales(file, words, rest, found.stored)
    taken.update(found.scales.values())
    for one in eight_bit_weights(tensors, found.scales, small=small):
        found.stored[one.name] = one
        found.scales.pop(one.name, None)
    found.weights = [name for name in tensors if name not in taken and not _is_harmless(name)]
    return found


def _refuse(file: str, words: str, names: Collection[str]) -> None:
    for signs, scheme in _SCHEMES:
        for name in names:
            if name.endswith(signs) or any(sign in name for sign in signs if sign.endswith(".")):
                raise _quantised(file, words, name, scheme)


def _scales(
    file: str, words: str, tensors: Mapping[str, TensorInfo], stored: Collection[str]
) -> dict[str, str]:
    """The scale of each weight that has one."""
    found: dict[str, str] = {}
    for weight in tensors:
        if not weight.endswith("weight"):
            continue
        base = weight.removesuffix(".weight")
        ways = [base + end for end in _SCALES] if base != weight else [weight + "_scale"]
        there = [name for name in ways if name in tensors]
        if len(there) > 1:
            raise Incomplete(file, f"{weight} has two scales, {there[0]} and {there[1]}; take another file")
        if there and weight in stored:
            raise _quantised(file, words, there[0], "blocks with a scale beside them")
        if there:
            _check(file, tensors[weight], there[0], tensors[there[0]])
            found[weight] = there[0]
    return found


def check_rest(file: str, words: str, used: Collection[str], rest: Collection[str]) -> None:
    """Raise Incomplete for a tensor of `rest` that stands beside one that is used."""
    modules = {name.rpartition(".")[0] for name in used if name.endswith(("weight", "bias"))} - {""}
    for name in rest:
        parts = name.split(".")
        above = [".".join(parts[:count]) for count in range(1, len(parts))]
        # X.foo and X.foo.bar beside X.weight, X.weight.foo below it, text_projection_foo beside that
        last = parts[-1]
        starts = [".".join((*parts[:-1], last[:end])) for end in range(1, len(last)) if last[end] == "_"]
        if not modules.isdisjoint(above) or any(one in used for one in (*above, *starts)):
            raise Incomplete(
                file,
                f"{name[:120]} of its {words} stands beside a weight and is not understood: without it the "
                "weight is another one; take a file in fp16, bf16 or fp8 without it",
            )


def apply(
    file: str,
    tensors: Mapping[str, torch.Tensor],
    scales: Mapping[str, str],
    values: Mapping[str, torch.Tensor],
) -> None:
    """Multiply weights by their scales, in place; `values` are the scales by their names."""
    for weight, name in scales.items():
        tensor, scale = tensors[weight], check_finite(file, name, values[name].float())
        shape = (-1, *[1] * (tensor.dim() - 1)) if scale.numel() > 1 else ()
        tensor.copy_(tensor.float() * scale.reshape(shape).to(tensor.device))


def _check(file: str, weight: TensorInfo, name: str, scale: TensorInfo) -> None:
    rows = weight.shape[0] if weight.shape else 1
    whole = scale.numel == 1 or (scale.numel == rows and scale.shape[0] == rows)
    if not whole or scale.dtype not in DTYPES:
        size = "x".join(map(str, scale.shape))
        raise Incomplete(
            file,
            f"{name} is {size} of {scale.dtype}, where one number for the whole weight or one for each of "
            f"its {rows} rows is understood; take a file in fp16, bf16 or fp8",
        )


def _is_harmless(name: str) -> bool:
    return ("." + name).endswith(_HARMLESS)


def _quantised(file: str, words: str, name: str, scheme: str) -> Incomplete:
    return Incomplete(
        file,
        f"its {words} is quantised ({scheme}; {name[:120]}), which is not understood; take a file in fp16, "
        "bf16 or fp8",
    )
