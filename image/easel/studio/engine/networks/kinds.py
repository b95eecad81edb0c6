"""Which tensors make which kind of network, and how they are put together for a layer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from easel.studio.engine.networks import shapes
from easel.studio.engine.networks.butterfly import Butterfly
from easel.studio.engine.networks.decomposed import decompose
from easel.studio.engine.networks.difference import BiasDifference, WeightDifference
from easel.studio.engine.networks.generalized import Generalized
from easel.studio.engine.networks.hadamard import Hadamard, Half
from easel.studio.engine.networks.kronecker import Kronecker
from easel.studio.engine.networks.latents_alone import LatentsAlone, shape_in_training
from easel.studio.engine.networks.layer import Change, Difference, flat, tall, tucker, wide
from easel.studio.engine.networks.low_rank import LowRank
from easel.studio.engine.networks.rescaled import Rescaled
from easel.studio.engine.networks.rotated import Rotated, cayley
from easel.studio.engine.transformers.lora_names import WHOLE, LoraPlace

# Single numbers, read before all others; and what is computed with once, in full precision.
NUMBERS = frozenset({"alpha", "scale", "on_input"})
IN_FLOAT = frozenset({"dora_scale", "magnitude", "oft_blocks", "oft_diag", "rescale"})
# What may stand beside any kind.
_BESIDE = frozenset({"alpha", "scale", "diff_b"})
_ALONE = LoraPlace("")


@dataclass(frozen=True)
class Ingredients:
    """The tensors and numbers of one layer, by role. Where `place` has rows, those of LoKr and OFT are of a
    higher layer, of which these rows are this one's."""

    layer: Any
    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, float]
    place: LoraPlace = _ALONE

    @property
    def height(self) -> int:
        """Rows of the layer that LoKr and OFT were made for."""
        return self.place.height or tall(self.layer)

    @property
    def trained_on(self) -> shapes.Shape:
        """The shape of the weight that they were made for."""
        found = {role: tuple(one.shape) for role, one in self.tensors.items()}
        return shape_in_training(found, tuple(self.layer.weight.shape))

    def scale(self, rank: int | None) -> float:
        """`scale` where there is one, else alpha/rank; without an alpha the rank counts as one."""
        if "scale" in self.numbers:
            return self.numbers["scale"]
        return self.numbers["alpha"] / rank if rank and "alpha" in self.numbers else 1.0


@dataclass(frozen=True)
class NetworkKind:
    """`needs` are roles that have to be there, each perhaps in several ways; `may` are others."""

    name: str
    needs: tuple[tuple[frozenset[str], ...], ...]
    may: frozenset[str]
    check: Callable[[shapes.Shapes, shapes.Shape], None]
    build: Callable[[Ingredients], Change | None]

    @property
    def roles(self) -> frozenset[str]:
        """All that tell this kind."""
        return self.may.union(*(way for need in self.needs for way in need))

    def missing(self, there: Collection[str]) -> str:
        """A role that is needed and not there, "" if none."""
        for need in self.needs:
            if not any(way <= set(there) for way in need):
                # of several ways the one that was begun
                way = max(need, key=lambda one: len(one & set(there)))
                return min(way - set(there))
        return ""


def kind_of(roles: Collection[str]) -> NetworkKind | None:
    """The kind that these roles of a layer make; None for a bias alone, and for what is none."""
    return next((one for one in KINDS if one.roles & set(roles)), None)


def strange(kind: NetworkKind | None, roles: Collection[str]) -> str:
    """A role that has no meaning beside the others, "" if none."""
    known = _BESIDE if kind is None else _BESIDE | kind.roles
    if kind is not None and kind.name in _DECOMPOSABLE:
        known |= {"dora_scale", "magnitude"}
    return min(set(roles) - known, default="")


def check_shapes(
    kind: NetworkKind | None, found: Mapping[str, shapes.Shape], layer: Any, place: LoraPlace
) -> None:
    """Raise ForeignShape or BadShape for what does not fit `layer`, or its place in a higher one."""
    weight = shape_in_training(found, tuple(layer.weight.shape))
    if kind is not None and kind.check is not shapes.difference and not isinstance(
        layer, nn.Linear | nn.Conv2d
    ):  # fmt: skip
        raise shapes.BadShape("{} is a norm, and the matrices are not those of one")
    if kind is not None:
        kind.check(found, (place.height, *weight[1:]) if place.rows and WHOLE & found.keys() else weight)
        if place.rows:
            shapes.rotated_apart(found, place.rows)
    if "diff_b" in found:
        shapes.difference({"diff_b": found["diff_b"]}, weight)
    for role in ("dora_scale", "magnitude"):
        if role in found:
            shapes.magnitude_of_input(role, found[role], weight)


def changes(kind: NetworkKind | None, given: Ingredients) -> tuple[Change, ...]:
    """What they do to the layer."""
    found: list[Change] = []
    change = None if kind is None else kind.build(given)
    if change is not None:
        alone = given.trained_on != tuple(given.layer.weight.shape)
        found.append(LatentsAlone(change) if alone else change)
    found += [BiasDifference(given.tensors[role].flatten()) for role in ("diff_b", "b_norm")
              if role in given.tensors]  # fmt: skip
    return tuple(found)


def _decomposed(build: Callable[[Ingredients], Difference]) -> Callable[[Ingredients], Change]:
    def with_magnitude(given: Ingredients) -> Change:
        inner = build(given)
        for role in ("dora_scale", "magnitude"):
            magnitude = given.tensors.get(role)
            if magnitude is not None:
                of_input = shapes.magnitude_of_input(role, tuple(magnitude.shape), given.layer.weight.shape)
                return decompose(inner, given.layer, magnitude, of_input=of_input)
        return inner

    return with_magnitude


def _low_rank(given: Ingredients) -> LowRank:
    return _pair(given, "down", "up", "mid")


def _pair(given: Ingredients, down: str, up: str, mid: str) -> LowRank:
    into, out, middle = given.tensors[down], flat(given.tensors[up]), given.tensors.get(mid)
    if middle is not None or not isinstance(given.layer, nn.Conv2d):
        into = flat(into)
    elif into.dim() == 2:
        into = into[:, :, None, None]
    return LowRank(into, out, given.scale(into.shape[0]), middle)


def _hadamard(given: Ingredients) -> Hadamard:
    halves = [
        Half(flat(given.tensors[f"hada_w{one}_a"]), flat(given.tensors[f"hada_w{one}_b"]),
             given.tensors.get(f"hada_t{one}"))
        for one in "12"
    ]  # fmt: skip
    return Hadamard(halves[0], halves[1], given.scale(halves[0].b.shape[0]))


def _kronecker(given: Ingredients) -> Kronecker:
    first, rank = _factor(given, "lokr_w1")
    second, second_rank = _factor(given, "lokr_w2")
    shape = given.height // first.shape[0], wide(given.layer) // first.shape[1]
    second = second.reshape(*shape, *given.layer.weight.shape[2:])
    whole = Kronecker(first, second, given.scale(second_rank or rank))
    return whole.of_rows(given.place.rows) if given.place.rows else whole


def _factor(given: Ingredients, role: str) -> tuple[Tensor, int | None]:
    """One of a Kronecker product's two, and its rank if it has one."""
    whole = given.tensors.get(role)
    if whole is not None:
        return flat(whole), None
    a, b = flat(given.tensors[f"{role}_a"]), flat(given.tensors[f"{role}_b"])
    core = given.tensors.get("lokr_t2") if role == "lokr_w2" else None
    product = a.float() @ b.float() if core is None else tucker(core.float(), a.float(), b.float())
    return product.to(a), b.shape[0]


def _rotated(given: Ingredients) -> Change:
    dtype = given.layer.weight.dtype
    rescale = given.tensors.get("rescale")
    lengths = None if rescale is None else rescale.flatten()
    if "oft_diag" in given.tensors:
        turns = given.tensors["oft_diag"]
    else:
        turns = cayley(given.tensors["oft_blocks"], given.numbers.get("alpha", 0.0) * given.height)
    if given.place.rows:
        size = turns.shape[-1]
        own = [turns[..., rows.start // size : rows.stop // size, :, :] for rows in given.place.rows]
        turns = torch.cat(own, dim=-3)
        lengths = None if lengths is None else torch.cat([lengths[rows] for rows in given.place.rows])
    if turns.dim() == 4:
        return Butterfly(turns.to(dtype), None if lengths is None else lengths.to(dtype))
    turn = turns - torch.eye(turns.shape[-1], device=turns.device)
    return Rotated(turn.to(dtype), None if lengths is None else (lengths - 1).to(dtype))


def _generalized(given: Ingredients) -> Generalized:
    a1, a2 = flat(given.tensors["a1"]), flat(given.tensors["a2"])
    return Generalized(a1, a2, _pair(given, "b2", "b1", "bm"), given.scale(a2.shape[0]))


def _rescaled(given: Ingredients) -> Rescaled:
    by, of_input = given.tensors["weight"].flatten(), bool(given.numbers["on_input"])
    if len(by) != (wide(given.layer) if of_input else tall(given.layer)):
        raise shapes.ForeignShape
    return Rescaled(by, of_input)


def _full(given: Ingredients) -> WeightDifference:
    return WeightDifference(given.tensors["diff"].reshape(given.trained_on), given.scale(None))


def _norm(given: Ingredients) -> WeightDifference | None:
    weight = given.tensors.get("w_norm")
    return None if weight is None else WeightDifference(weight.flatten())


def _any_scaling(found: shapes.Shapes, weight: shapes.Shape) -> None:
    # which side it is for tells a number that is not read yet
    if torch.Size(found["weight"]).numel() not in weight[:2]:
        raise shapes.ForeignShape


def _need(*ways: str) -> tuple[frozenset[str], ...]:
    """Roles, apart by spaces, in each way that will do."""
    return tuple(frozenset(one.split()) for one in ways)


def _all(roles: str) -> tuple[tuple[frozenset[str], ...], ...]:
    return tuple(_need(one) for one in roles.split())


KINDS = (
    NetworkKind("LoRA", _all("down up"), frozenset({"mid"}), shapes.low_rank, _decomposed(_low_rank)),
    NetworkKind("LoHa", _all("hada_w1_a hada_w1_b hada_w2_a hada_w2_b"), frozenset({"hada_t1", "hada_t2"}),
                shapes.hadamard, _decomposed(_hadamard)),
    NetworkKind("LoKr", (_need("lokr_w1", "lokr_w1_a lokr_w1_b"), _need("lokr_w2", "lokr_w2_a lokr_w2_b")),
                frozenset({"lokr_t2"}), shapes.kronecker, _decomposed(_kronecker)),
    NetworkKind("GLoRA", _all("a1 a2 b1 b2"), frozenset({"bm"}), shapes.generalized, _generalized),
    NetworkKind("OFT", (_need("oft_blocks", "oft_diag"),), frozenset({"rescale"}), shapes.rotated, _rotated),
    NetworkKind("IA3", _all("weight on_input"), frozenset(), _any_scaling, _rescaled),
    NetworkKind("full", _all("diff"), frozenset(), shapes.difference, _decomposed(_full)),
    NetworkKind("norm", (_need("w_norm", "b_norm"),), frozenset(), shapes.difference, _norm),
)  # fmt: skip
_DECOMPOSABLE = {"LoRA", "LoHa", "LoKr", "full"}
