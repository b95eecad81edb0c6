"""Transformers as nunchaku has them, FLUX.1, Qwen-Image and Z-Image: diffusers' tensors, of the file's.

Which layers are one in the file, and which way round, is in nunchaku's own code that fills its modules
(`models/transformers`, Apache-2.0) and in deepcompressor's that writes the files
(`backend/nunchaku/convert.py`). Layers that are not in this table are left to be refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from easel.models import TensorInfo
from easel.studio.engine.quantised.nunchaku_layer import NunchakuLayer, nunchaku_layer
from easel.studio.engine.quantised.nunchaku_order import Rows
from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.quantised.packing import Packing
from easel.studio.engine.quantised.side_by_side import SideBySidePacking, laid_beside
from easel.studio.engine.quantised.stored_weight import StoredTensor, empty_planes

_WEIGHT, _FACTORS = ".qweight", ".wscales"
_PREFIX = "model.diffusion_model."
_NUMBER = re.compile(r"\.(\d+)\.")
# What nunchaku adds to GELU's answers, which are never below -0.17 (SHIFT_GELU of gemm_w4a4_launch_impl.cuh).
_SHIFT = 0.171875
# The weights and biases that some layers' rows are, without more.
_PLAIN = ("weight", "bias")


@dataclass(frozen=True)
class _Place:
    """Modules of diffusers' that a layer's rows are, as many each; `part`: its columns are that one of
    several of its module's. `splits` and `shifted` as in `nunchaku_layer`."""

    modules: tuple[str, ...]
    part: int = 0
    splits: int = 0
    shifted: bool = False


def _qkv(names: str) -> _Place:
    return _Place(tuple(names.format(one) for one in "qkv"))


# Its refiners may be packed or not; their feed-forward is one layer in either case.
_Z_IMAGE: Mapping[str, _Place] = {
    "attention.to_qkv": _qkv("attention.to_{}"),
    "attention.to_out.0": _Place(("attention.to_out.0",)),
    "feed_forward.net.0.proj": _Place(("feed_forward.w3", "feed_forward.w1")),
    "feed_forward.net.2": _Place(("feed_forward.w2",)),
}
_BLOCKS: Mapping[str, Mapping[str, _Place]] = {
    "transformer_blocks.#": {
        # FLUX.1
        "norm1.linear": _Place(("norm1.linear",), splits=6),
        "norm1_context.linear": _Place(("norm1_context.linear",), splits=6),
        "qkv_proj": _qkv("attn.to_{}"),
        "qkv_proj_context": _qkv("attn.add_{}_proj"),
        "norm_q": _Place(("attn.norm_q",)),
        "norm_k": _Place(("attn.norm_k",)),
        "norm_added_q": _Place(("attn.norm_added_q",)),
        "norm_added_k": _Place(("attn.norm_added_k",)),
        "out_proj": _Place(("attn.to_out.0",)),
        "out_proj_context": _Place(("attn.to_add_out",)),
        "mlp_fc1": _Place(("ff.net.0.proj",)),
        "mlp_fc2": _Place(("ff.net.2",), shifted=True),
        "mlp_context_fc1": _Place(("ff_context.net.0.proj",)),
        "mlp_context_fc2": _Place(("ff_context.net.2",), shifted=True),
        # Qwen-Image
        "img_mod.1": _Place(("img_mod.1",), splits=6),
        "txt_mod.1": _Place(("txt_mod.1",), splits=6),
        "attn.to_qkv": _qkv("attn.to_{}"),
        "attn.add_qkv_proj": _qkv("attn.add_{}_proj"),
        "attn.to_out.0": _Place(("attn.to_out.0",)),
        "attn.to_add_out": _Place(("attn.to_add_out",)),
        "img_mlp.net.0.proj": _Place(("img_mlp.net.0.proj",)),
        "img_mlp.net.2": _Place(("img_mlp.net.2",), shifted=True),
        "txt_mlp.net.0.proj": _Place(("txt_mlp.net.0.proj",)),
        "txt_mlp.net.2": _Place(("txt_mlp.net.2",), shifted=True),
    },
    "single_transformer_blocks.#": {
        "norm.linear": _Place(("norm.linear",), splits=3),
        "qkv_proj": _qkv("attn.to_{}"),
        "norm_q": _Place(("attn.norm_q",)),
        "norm_k": _Place(("attn.norm_k",)),
        "mlp_fc1": _Place(("proj_mlp",)),
        "out_proj": _Place(("proj_out",)),
        "mlp_fc2": _Place(("proj_out",), part=1, shifted=True),
    },
    "layers.#": _Z_IMAGE,
    "noise_refiner.#": _Z_IMAGE,
    "context_refiner.#": _Z_IMAGE,
}


@dataclass(frozen=True)
class NunchakuWeight(StoredTensor):
    """These rows of layers side by side."""

    layers: tuple[NunchakuLayer, ...]
    rows: Rows

    @property
    def sources(self) -> tuple[str, ...]:
        """See `StoredTensor`."""
        return tuple(name for one in self.layers for name in one.weight_sources)

    @property
    def packing(self) -> Packing:
        """How they are packed."""
        first, *others = (one.packing for one in self.layers)
        return SideBySidePacking((first, *others)) if others else first

    def taken(self, file: str, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
        """See `StoredTensor`."""
        packing, parts = self.packing, [one.planes(file, tensors, self.rows) for one in self.layers]
        planes = laid_beside(parts, packing) if isinstance(packing, SideBySidePacking) else parts[0]
        return PackedWeight(packing, planes, dtype)

    def outlined(self, dtype: torch.dtype) -> Tensor:
        """See `StoredTensor`."""
        return PackedWeight(self.packing, empty_planes(self.packing, self.rows.count), dtype)


@dataclass(frozen=True)
class NunchakuBias(StoredTensor):
    """What these rows of layers side by side add, together."""

    layers: tuple[NunchakuLayer, ...]
    rows: Rows

    @property
    def sources(self) -> tuple[str, ...]:
        """See `StoredTensor`."""
        return tuple(name for one in self.layers for name in one.bias_sources)

    def taken(self, file: str, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
        """See `StoredTensor`."""
        first, *others = (one.bias(file, tensors, self.rows) for one in self.layers)
        return sum(others, first).to(dtype)

    def outlined(self, dtype: torch.dtype) -> Tensor:
        """See `StoredTensor`."""
        return torch.empty(self.shape, dtype=dtype, device="meta")


@dataclass(frozen=True)
class CutTensor(StoredTensor):
    """Some rows of a tensor in plain numbers."""

    source: str
    rows: Rows

    @property
    def sources(self) -> tuple[str, ...]:
        """See `StoredTensor`."""
        return (self.source,)

    def taken(self, file: str, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
        """See `StoredTensor`."""
        return tensors[self.source][self.rows.first : self.rows.first + self.rows.count].to(dtype)

    def outlined(self, dtype: torch.dtype) -> Tensor:
        """See `StoredTensor`."""
        return torch.empty(self.shape, dtype=dtype, device="meta")


def nunchaku_tensors(
    file: str, tensors: Mapping[str, TensorInfo]
) -> tuple[list[StoredTensor], frozenset[str]]:
    """The tensors that a file for nunchaku means, and the names of those that they are of; none of any other
    file. Raises Incomplete for a layer whose tensors do not fit each other."""
    layers: dict[str, NunchakuLayer] = {}
    places: dict[str, _Place] = {}
    for base in _packed(tensors):
        place = _place(base)
        if place is not None and bool(place.splits) == (f"{base}.wzeros" in tensors):
            shift = _SHIFT if place.shifted else 0.0
            layers[base] = nunchaku_layer(file, base, tensors, shift=shift, splits=place.splits)
            places[base] = place
    if not layers:
        return [], frozenset()
    found = [*_of_layers(layers, places), *_of_plain(tensors, layers)]
    names = {name for one in layers.values() for name in one.names.values()}
    return found, frozenset(names.union(*(one.sources for one in found)))


def _packed(tensors: Mapping[str, TensorInfo]) -> Iterator[str]:
    for name in tensors:
        base = name.removesuffix(_WEIGHT)
        if base != name and base + _FACTORS in tensors:
            yield base


def _of_layers(layers: Mapping[str, NunchakuLayer], places: Mapping[str, _Place]) -> Iterator[StoredTensor]:
    """Weights and biases of each module, of all layers that are part of it."""
    of_module: dict[tuple[str, Rows], list[NunchakuLayer]] = {}
    for base in sorted(layers, key=lambda one: places[one].part):
        layer, modules = layers[base], places[base].modules
        count = layer.rows // len(modules)
        for number, module in enumerate(modules):
            of_module.setdefault((module, Rows(number * count, count)), []).append(layer)
    for (module, rows), parts in of_module.items():
        shape = (rows.count, sum(one.columns for one in parts))
        yield NunchakuWeight(f"{module}.weight", shape, tuple(parts), rows)
        if biased := tuple(one for one in parts if "bias" in one.names):
            yield NunchakuBias(f"{module}.bias", (rows.count,), biased, rows)


def _of_plain(
    tensors: Mapping[str, TensorInfo], layers: Mapping[str, NunchakuLayer]
) -> Iterator[StoredTensor]:
    """Those in plain numbers that are called otherwise than diffusers has them."""
    for name, info in tensors.items():
        base, _, leaf = name.rpartition(".")
        place = _place(base) if leaf in _PLAIN and base not in layers and info.shape else None
        if place is None or place.modules == (base,) or place.shifted or place.part:
            continue
        count = info.shape[0] // len(place.modules)
        for number, module in enumerate(place.modules):
            rows = Rows(number * count, count)
            yield CutTensor(f"{module}.{leaf}", (count, *info.shape[1:]), name, rows)


def _place(base: str) -> _Place | None:
    """Where a layer of the file belongs, with the names that its modules have in this file."""
    plain = base.removeprefix(_PREFIX)
    number = _NUMBER.search(plain)
    if number is None:
        return None
    block, layer = plain[: number.end(1)], plain[number.end() :]
    found = _BLOCKS.get(plain[: number.start(1)] + "#", {}).get(layer)
    if found is None:
        return None
    before = base[: len(base) - len(plain)] + block
    modules = tuple(f"{before}.{one}" for one in found.modules)
    return _Place(modules, found.part, found.splits, found.shifted)
