"""Which layers of a checkpoint each tensor of a network's file belongs to, and which part of a formula it is.

A tensor's name is a layer's and a role. Where the layer is in a checkpoint tell `unet_layers` and
`transformer_layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from easel.studio.engine.transformers.lora_names import LoraPlace

UNET = "unet"
"""The part of a checkpoint that draws, whether UNet or transformer."""

_ENDS = {
    ".lora_down.weight": "down", ".lora_up.weight": "up", ".lora_mid.weight": "mid",
    ".lora_A.weight": "down", ".lora_B.weight": "up",
    ".lora_A.default.weight": "down", ".lora_B.default.weight": "up",
    ".lora.down.weight": "down", ".lora.up.weight": "up",
    ".lora_linear_layer.down.weight": "down", ".lora_linear_layer.up.weight": "up",
    "_lora.down.weight": "down", "_lora.up.weight": "up",
    ".lora_magnitude_vector": "magnitude", ".lora_magnitude_vector.weight": "magnitude",
    ".lora_magnitude_vector.default.weight": "magnitude",
    ".a1.weight": "a1", ".a2.weight": "a2", ".b1.weight": "b1", ".b2.weight": "b2", ".bm.weight": "bm",
} | {
    f".{role}": role
    for role in (
        "alpha", "scale", "dora_scale", "diff", "diff_b", "w_norm", "b_norm", "oft_blocks", "oft_diag",
        "rescale", "on_input", "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2",
        "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2",
    )
}  # fmt: skip

Place = tuple[str, str]
"""A layer: the part of a checkpoint, and its path there."""

Homes = Mapping[str, tuple[tuple[str, LoraPlace], ...]]
"""By a layer's name in a file: the parts of a checkpoint and the modules there that it is for."""

FindHomes = Callable[[Collection[str]], Homes]
"""Tells the homes of a file's layers; those that it says nothing of have none."""


@dataclass
class TargetLayer:
    """A module, and the names in the file of the tensors for it, by role (`down`, `up`, `alpha`, …), of which
    it gets what `place` says."""

    part: str
    place: LoraPlace
    tensors: dict[str, str] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """Its name in the part."""
        return self.place.module


def find_targets(names: Iterable[str], find_homes: FindHomes) -> tuple[list[TargetLayer], list[str]]:
    """The layers that a file's tensors are for, and the names that have no place in this checkpoint."""
    every = list(names)
    scaling = {name.removesuffix(".on_input") for name in every if name.endswith(".on_input")}
    split = {name: _split(name, scaling) for name in every}
    homes = find_homes({base for base, role in split.values() if role})
    found: dict[tuple[str, str, int], TargetLayer] = {}
    homeless: list[str] = []
    for name, (base, role) in split.items():
        own = homes.get(base, ()) if role else ()
        if not own:
            homeless.append(name)
        for part, place in own:
            key = (part, place.module, place.height)
            found.setdefault(key, TargetLayer(part, place)).tensors[role] = name
    return list(found.values()), homeless


def layer_of(name: str) -> str:
    """The layer's name in a tensor's; "" for what is no tensor of a network, for whatever layer."""
    base, role = _split(name, ())
    return base if role else ""


def has_role(name: str) -> bool:
    """Whether this is a tensor of a network: a matrix, an alpha or the like, for whatever layer."""
    return bool(layer_of(name))


def beside_others(found: Iterable[TargetLayer], homeless: Iterable[str]) -> str:
    """A tensor without a role that stands beside some that have one, so that it changes them; "" if none."""
    bases = {_split(name, ())[0] for place in found for name in place.tensors.values()}
    for name in homeless:
        parts = name.split(".")
        if any(".".join(parts[:count]) in bases for count in range(1, len(parts))):
            return name
    return ""


def _split(name: str, scaling: Iterable[str]) -> tuple[str, str]:
    """The layer's name and the role. `scaling` are layers whose `.weight` is no layer's but IA³'s."""
    for end, role in _ENDS.items():
        if name.endswith(end):
            return name.removesuffix(end), role
    base = name.removesuffix(".weight")
    return (base, "weight") if base in scaling else (name, "")
