"""What drawing takes beside the weights: counted on torch's meta device, before anything is drawn.

A family's modules are run without weights and without numbers, and every tensor that they make is counted
from its first moment to its last. That takes 0.2 to 2 s for each family and type, once. What the kernels of a
device take for themselves is not in it (`memory.WORKSPACE`).

Two sizes are counted and a straight line is laid through them. Every tensor of these networks is as large as
its picture: attention is fused, and never writes down its matrix of all pixels by all pixels.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from easel.models import Architecture
from easel.studio.engine.checkpoints.skeleton import skeleton
from easel.studio.engine.latents.latent_spaces import latent_space
from easel.studio.engine.latents.tiles import SMALLER, at_once, tile_side
from easel.studio.engine.texts.micro_conditioning import size_numbers
from easel.studio.engine.transformers.table import transformer_of
from easel.studio.families import Family

_TOKENS = 77
# Networks at work and edges that meet hold one or two more tensors of a layer's size; allocators round up.
_SLACK = 1.25
# A control model leaves a tensor for each skip connection, a fifth of what the UNet holds at its fullest, as
# it made them and again as they are weighed.
_CONTROL_SHARE = 0.4
_FLOAT = 4
# The files of a family's folder that say how its modules are built and called.
_DESCRIBING = ("*/config.json", "drawing.json", "model_index.json")


@dataclass(frozen=True)
class BytesByPixels:
    """Bytes by latent pixels."""

    fixed: float
    each: float

    def at(self, latent_pixels: float) -> int:
        """Bytes for so many latent pixels."""
        return int((self.fixed + self.each * latent_pixels) * _SLACK)


@dataclass(frozen=True)
class Activations:
    """Bytes of a family in one type, weights not counted: `backbone` of one row of a call, `decode` and
    `encode` of one picture as a whole."""

    backbone: BytesByPixels
    decode: BytesByPixels
    encode: BytesByPixels
    downscale: int

    def of_call(self, latent_pixels: int, rows: int, controls: int = 0) -> int:
        """Of a backbone call for one picture of so many rows, with so many control models."""
        return int(rows * self.backbone.at(latent_pixels) * (1 + _CONTROL_SHARE * controls))

    def of_vae(self, way: str, width: int, height: int, side: int | None = None) -> int:
        """Of the way through the VAE of a picture of this size in pixels, by tiles of this `side` where one
        is asked for. What is finished of the picture is held beside the tile."""
        line = self.decode if way == "decode" else self.encode
        tile = tile_side(height, width, side)
        at_once = width * height if tile is None else min(width, tile) * min(height, tile)
        return 2 * 3 * _FLOAT * width * height + line.at(at_once / self.downscale**2)

    def ways(self, way: str, width: int, height: int) -> tuple[tuple[int | None, int], ...]:
        """Each way through the VAE that takes less than the one before: the side that is asked for (None for
        as the size asks), and bytes."""
        found: list[tuple[int | None, int]] = [(None, self.of_vae(way, width, height))]
        for side in SMALLER:
            taken = self.of_vae(way, width, height, side)
            if taken < found[-1][1]:
                found.append((side, taken))
        return tuple(found)


def activations(family: Family, dtype: torch.dtype) -> Activations:
    """Of this family, its modules in `dtype`. The VAE of SDXL is counted in single precision: in half it
    overflows, and is drawn again."""
    return _counted(_Described(family.architecture, _texts(family.folder), family), dtype)


@cache
def _texts(folder: Path) -> tuple[str, ...]:
    """The description that lies there."""
    return tuple(one.read_text() for name in _DESCRIBING for one in sorted(folder.glob(name)))


@dataclass(frozen=True)
class _Described:
    """A family, equal to another one of the same description wherever that lies."""

    architecture: Architecture
    texts: tuple[str, ...]
    family: Family = field(compare=False)


@cache
def _counted(described: _Described, dtype: torch.dtype) -> Activations:
    family = described.family
    with torch.inference_mode(False):
        bones = skeleton(family)
        # not diffusers' own, which warns of what only matters to weights
        backbone = nn.Module.to(bones.backbone, dtype)
        vae = nn.Module.to(bones.vae, torch.float32 if family.pooled else dtype)
    side = family.native // family.downscale
    # even: a transformer has patches of two by two, and Qwen-Image's side is 166
    sides = max(8, side // 4 * 2), max(16, side)
    return Activations(
        backbone=_line(lambda one: _backbone_call(backbone, family, one, dtype), sides),
        decode=_line(lambda one: _decode(vae, family, one), sides),
        encode=_line(lambda one: _encode(vae, family, one), sides),
        downscale=family.downscale,
    )


def _line(work: Callable[[int], object], sides: tuple[int, int]) -> BytesByPixels:
    few, many = (_peak(work, side) for side in sides)
    each = (many - few) / (sides[1] ** 2 - sides[0] ** 2)
    return BytesByPixels(max(0.0, few - each * sides[0] ** 2), each)


def _peak(work: Callable[[int], object], side: int) -> int:
    with counted() as count:
        work(side)
    return count.peak


def _flow_call(network: Any, family: Family, side: int, tokens: int) -> object:
    model = transformer_of(family.architecture)
    return model.velocity(network, model.empty_inputs(network, side, side, tokens)).float()


def _backbone_call(backbone: Any, family: Family, side: int, dtype: torch.dtype) -> object:
    if family.flow is not None:
        return _flow_call(backbone, family, side, family.flow.tokens)

    def empty(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    config, added = backbone.config, {}
    if family.pooled:
        numbers = size_numbers(family)
        texts = config.projection_class_embeddings_input_dim - numbers * config.addition_time_embed_dim
        added = {"added_cond_kwargs": {"text_embeds": empty(1, texts), "time_ids": empty(1, numbers)}}
    tokens = empty(1, _TOKENS, config.cross_attention_dim)
    seen = empty(1, config.in_channels, side, side)
    return backbone(
        seen, torch.empty(1, device="meta"), encoder_hidden_states=tokens, return_dict=False, **added
    )[0].float()


def _decode(vae: Any, family: Family, side: int) -> object:
    latents = torch.empty((1, family.latent_channels, side, side), device="meta")
    return at_once(latent_space(vae).decoding(vae, latents))


def _encode(vae: Any, family: Family, side: int) -> object:
    width = side * family.downscale
    pixels = torch.empty((1, 3, width, width), device="meta")
    return at_once(latent_space(vae).encoding(vae, pixels))


class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own bases are not typed
    """Bytes of the tensors that are made within it: `peak` at the most at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._now = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do what was asked, and count what came of it."""
        found = func(*args, **(kwargs or {}))
        # A view of what was there before, as of a weight, is nothing new: SD3.5's table of places is 450 MB.
        before = {one.untyped_storage()._cdata for one in _tensors((args, kwargs))}
        for one in _tensors(found):
            self._see(one.untyped_storage(), before)
        return found

    def _see(self, storage: torch.UntypedStorage, before: Collection[int]) -> None:
        key = storage._cdata
        if key not in self._alive and key not in before:
            self._alive[key] = storage.nbytes()
            self._now += storage.nbytes()
            self.peak = max(self.peak, self._now)
            weakref.finalize(storage, self._gone, key)

    def _gone(self, key: int) -> None:
        self._now -= self._alive.pop(key, 0)


def _tensors(found: object) -> Iterator[torch.Tensor]:
    return (one for one in tree_leaves(found) if isinstance(one, torch.Tensor))


class _Kernels(TorchFunctionMode):
    """What every device that is drawn on has one kernel for: its answer, and nothing beside it. Attention
    never writes down its matrix of all by all. Norms and products would come to the same number: torch's meta
    device goes through thirty small operations in Python for each, which was two thirds of the counting."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kernel = _KERNELS.get(func)
        return func(*args, **(kwargs or {})) if kernel is None else kernel(*args, **(kwargs or {}))


def _attended(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any
) -> torch.Tensor:
    return query.new_empty((*query.shape[:-1], value.shape[-1]))


def _normed(input: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return torch.empty_like(input)


def _multiplied(input: torch.Tensor, weight: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return input.new_empty((*input.shape[:-1], weight.shape[0]))


_KERNELS: Mapping[Any, Callable[..., torch.Tensor]] = {
    F.scaled_dot_product_attention: _attended,
    F.group_norm: _normed,
    F.layer_norm: _normed,
    F.linear: _multiplied,
}


@contextmanager
def counted() -> Iterator[Count]:
    """Count what is made within this, on the meta device or on another."""
    with torch.inference_mode(), _Kernels(), Count() as count:
        yield count
