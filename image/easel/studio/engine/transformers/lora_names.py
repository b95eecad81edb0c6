"""Which modules of a flow's transformer each layer of a LoRA file is for, and which rows of it are whose.

Trainers name layers as the publisher does (kohya's scripts, ai-toolkit's later files, ComfyUI) or as
diffusers does (PEFT, OneTrainer, ai-toolkit's earlier ones), with "." or "_" between the parts of a name and
a prefix of their own. All are looked up among the names that this network has, as in `networks.names`.

A published layer is often several modules one under the other (`qkv`); then each gets its rows of the
matrices that have a row for each output, and the others are shared. What is no matter of rows (LoKr's
product, OFT's blocks) is given whole, with the rows that are the module's: `networks.kinds` takes them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

import torch

from easel.studio.engine.transformers.published_names import NameTable

# With the sign behind it: without prefix a name of diffusers' begins with "transformer_blocks".
_PREFIXES = (
    "base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.", "unet.",
    "lora_transformer_", "lora_unet_", "lycoris_",
)  # fmt: skip
# Roles (`networks.names`) whose tensors have a row for each output of the layer.
_BY_ROW = frozenset({"up", "hada_w1_a", "hada_w2_a", "b1", "diff", "diff_b", "w_norm", "b_norm", "magnitude"})
_SHARED = frozenset({
    "down", "mid", "alpha", "scale", "on_input", "hada_w1_b", "hada_w2_b", "a1", "a2", "b2", "bm",
})  # fmt: skip
# Given whole: those that make all rows together, each of several with others.
WHOLE = frozenset({
    "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "oft_blocks",
    "oft_diag", "rescale",
})  # fmt: skip

LoraPlaces = Mapping[str, tuple["LoraPlace", ...]]
"""Modules by a layer's path in a file, written with "_"; see `layer_path`."""


class NotCut(Exception):
    """What of a layer cannot be divided among its modules, as the end of a sentence."""


class OtherHeight(NotCut):
    """The layer has other rows than this network's: it is another network's."""


@dataclass(frozen=True)
class LoraPlace:
    """A module of the network, and the rows of the file's layer that are its own, in its order, of how many;
    none for a layer that is this module's alone, as it is."""

    module: str
    rows: tuple[slice, ...] = ()
    height: int = 0


def layer_path(base: str) -> str:
    """A layer's path in the transformer, written with "_", of its name in a file (without the role)."""
    for prefix in _PREFIXES:
        base = base.removeprefix(prefix)
    return _flat(base)


def lora_places(network: Any, table: NameTable, swapped: Collection[str] = ()) -> LoraPlaces:
    """All places of this network. `swapped` as in `published_names.to_modules`."""
    heights = {name: _height(one) for name, one in network.named_modules() if _height(one)}
    found: dict[str, tuple[LoraPlace, ...]] = {_flat(name): (LoraPlace(name),) for name in heights}
    for name in heights:
        if name.endswith(".to_out.0"):  # before 2023-08 diffusers left the number away
            found.setdefault(_flat(name.removesuffix(".0")), (LoraPlace(name),))
    for published, modules in _numbered(table, heights):
        ends = [0]
        for module in modules:
            ends.append(ends[-1] + heights[module])
        if len(modules) > 1:
            spans = pairwise(ends)
            places = tuple(
                LoraPlace(module, (slice(*span),), ends[-1])
                for module, span in zip(modules, spans, strict=True)
            )
        elif modules[0] in swapped:
            half = ends[1] // 2
            places = (LoraPlace(modules[0], (slice(half, 2 * half), slice(0, half)), 2 * half),)
        else:
            places = (LoraPlace(modules[0]),)
        found.setdefault(_flat(published), places)
    return found


def cut(tensors: Mapping[str, torch.Tensor], place: LoraPlace) -> dict[str, torch.Tensor]:
    """What of a layer's tensors, by role, is this module's. They need no numbers: "meta" will do.

    Raises OtherHeight for a layer of another height, and NotCut for a magnitude by columns, which is one of
    all rows together.
    """
    if not place.rows:
        return dict(tensors)
    found = {}
    for role, tensor in tensors.items():
        if role in _SHARED or role in WHOLE or _of_input(role, tensor, place):
            found[role] = tensor
        elif not _by_row(role, tensor, tensors):
            raise NotCut(f"its {role} cannot be divided among the layers that are one in the file")
        elif tensor.shape[:1] != (place.height,):
            raise OtherHeight(f"its {role} has other than the {place.height} rows of this model's layer")
        else:
            pieces = [tensor[one] for one in place.rows]
            found[role] = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
    return found


def _by_row(role: str, tensor: torch.Tensor, tensors: Mapping[str, torch.Tensor]) -> bool:
    if role == "dora_scale":
        return tensor.shape[:1] == (tensor.numel(),)
    # about a core LoHa's matrices lie the other way round
    return role in (*_BY_ROW, "weight") and not (
        role.startswith("hada") and {"hada_t1", "hada_t2"} & tensors.keys()
    )


def _of_input(role: str, tensor: torch.Tensor, place: LoraPlace) -> bool:
    """Whether this is IA³'s scaling of the input, which the modules have in common."""
    return role == "weight" and tensor.shape[:1] != (place.height,)


def _numbered(table: NameTable, known: Collection[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The table's rows with all the numbers of blocks that this network has."""
    for published, modules in table.items():
        for number in count():
            there = tuple(one.replace("#", str(number)) for one in modules)
            if not all(one in known for one in there):
                break
            yield published.replace("#", str(number)), there
            if there == modules:
                break


def _height(module: Any) -> int:
    """Rows of a layer's weight: its outputs; 0 for what is none."""
    weight = getattr(module, "weight", None)
    return int(getattr(module, "out_features", weight.shape[0])) if isinstance(weight, torch.Tensor) else 0


def _flat(name: str) -> str:
    return name.replace(".", "_")
