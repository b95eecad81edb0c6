"""A network in memory: for each layer of the checkpoint that it changes, how.

Applied while the checkpoint draws (adapters.py), not added to its weights: the checkpoint is everyone's.
`names` tells which layer a tensor belongs to, `kinds` which formula it is part of; each formula is a file:
`low_rank` (LoRA, LoCon), `hadamard` (LoHa), `kronecker` (LoKr), `decomposed` (DoRA), `difference` (full,
norms, biases), `generalized` (GLoRA), `rescaled` (IA³), `rotated` (OFT), `butterfly` (BOFT). Why each is an
addition: docs/decisions/0043.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import nn

from easel.models import FileError, Header, Incomplete, Kind, ModelFile, WrongKind, read_header, small_kind
from easel.remark import remark
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.memory.device_memory import check_room
from easel.studio.engine.networks.adapter_metadata import AdapterMetadata
from easel.studio.engine.networks.bundled_embeddings import BUNDLED
from easel.studio.engine.networks.bundled_loras import lora_tensors
from easel.studio.engine.networks.kinds import (
    IN_FLOAT,
    NUMBERS,
    Ingredients,
    NetworkKind,
    changes,
    check_shapes,
    kind_of,
    strange,
)
from easel.studio.engine.networks.layer import Change
from easel.studio.engine.networks.names import (
    UNET,
    FindHomes,
    TargetLayer,
    beside_others,
    find_targets,
    layer_of,
)
from easel.studio.engine.networks.origin import other_architecture
from easel.studio.engine.networks.shapes import BadShape, ForeignShape, Shape
from easel.studio.engine.networks.transformer_layers import (
    has_other_blocks,
    in_transformer,
    transformer_homes,
)
from easel.studio.engine.networks.unet_layers import unet_homes
from easel.studio.engine.tensors.weights import Weights
from easel.studio.engine.transformers.lora_names import NotCut, OtherHeight, cut

# A full one for SDXL has four thousand; a file made to be slow could have a million.
MAX_TENSORS = 20_000
# Kinds that are not drawn with, by what is in a tensor's name.
_UNKNOWN = {
    ".oft_R": "OFT as PEFT writes it", ".oft_r": "OFT as PEFT writes it", ".boft_": "BOFT as PEFT writes it",
    ".ia3_l": "IA3 as PEFT writes it", ".vera_lambda": "VeRA", ".lora_E": "AdaLoRA", ".lora_embedding_":
    "LoRA of an embedding layer", ".bias_indices": "LyCORIS with a sparse bias", ".set_weight":
    "whole weights (set_weight)", ".reshape_weight": "LoRA for a reshaped layer",
    ".qkv_lora": "FLUX LoRA as XLabs writes it", ".mlp_fc": "LoRA in nunchaku's own order",
}  # fmt: skip
_DAMAGED = "holds numbers that are none; download it again"


@dataclass(frozen=True)
class LoadedNetwork:
    """All changes of one file, by part of the checkpoint ("unet", "text_encoder_0", …) and layer.

    `left_out` are the tensors that have no place in the checkpoint.
    """

    file: ModelFile
    changes: Mapping[tuple[str, str], tuple[Change, ...]]
    left_out: tuple[str, ...]
    nbytes: int

    def notes(self) -> Iterator[str]:
        """What of the file is not drawn with."""
        if self.left_out:
            yield remark(
                "no_place",
                "{name}: {n} of its tensors have no place in this checkpoint, such as {one}.",
                about="prompt",
                name=self.file.name,
                n=len(self.left_out),
                one=self.left_out[0][:120],
            )


def load_network(file: ModelFile, checkpoint: Checkpoint) -> LoadedNetwork:
    """Read a network for `checkpoint`, to its device and type.

    Raises a FileError that says what is wrong: OtherArchitecture, WrongKind, Incomplete, or what
    `read_header` and `Weights` raise. Nothing of it stays in memory then.
    """
    header = read_header(file.path)
    _check_kind(file, header)
    names = lora_tensors(header) or [name for name in header.tensors if not name.startswith(BUNDLED)]
    found, homeless = find_targets(names, _homes(checkpoint))
    _check_home(file, header, found, homeless, checkpoint)
    kinds = [_kind(file, place) for place in found]
    for place, kind in zip(found, kinds, strict=True):
        _check_shapes(file, header, place, kind, checkpoint)
    given = _read(file, header, found, checkpoint)
    built: dict[tuple[str, str], tuple[Change, ...]] = {}
    for place, kind, one in zip(found, kinds, given, strict=True):
        # a module may stand in a file by itself and as a part of a published layer
        before = built.get((place.part, place.module), ())
        built[place.part, place.module] = before + _build(file, header, place, kind, one, checkpoint)
    # q, k and v of a published layer share a matrix
    held = {(one.data_ptr(), one.nbytes) for change in built.values() for one in _tensors(change)}
    return LoadedNetwork(file, built, tuple(homeless), sum(size for _, size in held))


def _homes(checkpoint: Checkpoint) -> FindHomes:
    if checkpoint.family.flow is not None:
        return transformer_homes(checkpoint)
    return unet_homes(checkpoint.backbone, checkpoint.text_encoders)


def _read(
    file: ModelFile, header: Header, found: list[TargetLayer], checkpoint: Checkpoint
) -> list[Ingredients]:
    """The tensors of each layer, on the checkpoint's device."""
    roles = {name: role for place in found for role, name in place.tensors.items()}
    numbers = {name for name, role in roles.items() if role in NUMBERS}
    exact = {name for name, role in roles.items() if role in IN_FLOAT}
    others = roles.keys() - numbers - exact
    size = sum(header.tensors[name].numel for name in others) * checkpoint.dtype.itemsize
    size += sum(header.tensors[name].numel for name in exact) * torch.float32.itemsize
    largest = max((header.tensors[name].nbytes for name in roles.keys() - numbers), default=0)
    check_room(file.name, size, largest, checkpoint.device)
    try:
        with Weights(file.path, header) as weights:
            single = weights.read(numbers, device=torch.device("cpu"), dtype=torch.float32, whole=True)
            tensors = weights.read(others, device=checkpoint.device, dtype=checkpoint.dtype)
            tensors |= weights.read(exact, device=checkpoint.device, dtype=torch.float32)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise FileError(file.name, "there is no memory left for it; take fewer LoRAs at once") from error
    for name, one in (single | tensors).items():
        if not bool(torch.isfinite(one).all()):
            raise Incomplete(file.name, f"{name} {_DAMAGED}")
    said = AdapterMetadata(header.metadata)
    return [_ingredients(place, tensors, single, said, checkpoint) for place in found]


def _ingredients(
    place: TargetLayer,
    tensors: Mapping[str, torch.Tensor],
    single: Mapping[str, torch.Tensor],
    said: AdapterMetadata,
    checkpoint: Checkpoint,
) -> Ingredients:
    """Those of one layer, with the alpha that the header says where no tensor does."""
    own = {role: tensors[name] for role, name in place.tensors.items() if name in tensors}
    numbers = {
        role: float(single[name].reshape(())) for role, name in place.tensors.items() if name in single
    }
    if "down" in own and "alpha" not in numbers:
        alpha = said.alpha(place.part, place.module, own["down"].shape[0])
        numbers |= {} if alpha is None else {"alpha": alpha}
    return Ingredients(_layer(checkpoint, place), cut(own, place.place), numbers, place.place)


def _build(
    file: ModelFile,
    header: Header,
    place: TargetLayer,
    kind: NetworkKind | None,
    given: Ingredients,
    checkpoint: Checkpoint,
) -> tuple[Change, ...]:
    try:
        found = changes(kind, given)
    except ForeignShape:
        raise other_architecture(file, header, checkpoint) from None
    if any(not abs(one.scale) <= 1e6 for one in found):
        raise Incomplete(file.name, f"the alpha of {place.module} {_DAMAGED}")
    if not all(bool(torch.isfinite(one).all()) for one in _tensors(found)):
        raise Incomplete(file.name, f"what is made of the tensors of {place.module} {_DAMAGED}")
    return found


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """All tensors that a change holds."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _tensors(one)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))


def _check_kind(file: ModelFile, header: Header) -> None:
    if len(header.tensors) > MAX_TENSORS:
        raise Incomplete(file.name, f"it holds {len(header.tensors)} tensors; a LoRA has up to {MAX_TENSORS}")
    for sign, words in _UNKNOWN.items():
        if any(sign in name for name in header.tensors):
            raise Incomplete(
                file.name, f"this is a network of the kind {words}, which is not drawn with here"
            )
    small = small_kind(header)
    if (small is None or small[0] is not Kind.LORA) and not lora_tensors(header):
        what, kind = (small[1], small[0]) if small else ("a checkpoint or another model", Kind.CHECKPOINT)
        raise WrongKind(file.name, what, kind.folder if kind else None, wanted="a LoRA")


def _check_home(
    file: ModelFile, header: Header, found: list[TargetLayer], homeless: Iterable[str], checkpoint: Checkpoint
) -> None:
    """Raise OtherArchitecture for a file that has its home elsewhere, Incomplete for what is not clear."""
    strangers = [base for name in homeless if (base := layer_of(name))]
    foreign = False
    if checkpoint.family.flow is not None:
        strangers = in_transformer(strangers, checkpoint)
        foreign = has_other_blocks(strangers, checkpoint)
    if foreign or not found or len(strangers) > len(header.tensors) // 2:
        raise other_architecture(file, header, checkpoint)
    if odd := beside_others(found, homeless):
        raise _not_understood(file, odd)


def _kind(file: ModelFile, place: TargetLayer) -> NetworkKind | None:
    """What the tensors of a layer make; None for a bias alone."""
    roles = place.tensors.keys()
    kind = kind_of(roles)
    missing = kind.missing(roles) if kind is not None else "" if "diff_b" in roles else "up"
    if missing:
        raise Incomplete(file.name, f"the {missing} matrix of {place.module} is missing; download it again")
    if role := strange(kind, roles):
        raise _not_understood(file, place.tensors[role])
    return kind


def _not_understood(file: ModelFile, name: str) -> Incomplete:
    return Incomplete(
        file.name,
        f"{name[:120]} stands beside others and is not understood: without it the LoRA is another one",
    )


def _check_shapes(
    file: ModelFile, header: Header, place: TargetLayer, kind: NetworkKind | None, checkpoint: Checkpoint
) -> None:
    for role in NUMBERS & place.tensors.keys():
        if header.tensors[place.tensors[role]].numel != 1:
            raise Incomplete(file.name, f"{place.tensors[role]} is not a single number")
    try:
        check_shapes(kind, _shapes(header, place), _layer(checkpoint, place), place.place)
    except (ForeignShape, OtherHeight):
        raise other_architecture(file, header, checkpoint) from None
    except BadShape as error:
        raise Incomplete(file.name, str(error).format(place.module)) from None
    except NotCut as error:
        layer = layer_of(next(iter(place.tensors.values())))
        raise Incomplete(file.name, f"{layer[:120]} is not drawn with here: {error}") from None


def _shapes(header: Header, place: TargetLayer) -> dict[str, Shape]:
    """What the module gets of each tensor."""
    shapes = {role: tuple(header.tensors[name].shape) for role, name in place.tensors.items()}
    if not place.place.rows:
        return shapes
    whole = {role: torch.empty(shape, device="meta") for role, shape in shapes.items()}
    return {role: tuple(one.shape) for role, one in cut(whole, place.place).items()}


def _layer(checkpoint: Checkpoint, place: TargetLayer) -> nn.Module:
    layer: nn.Module = part_of(checkpoint, place.part).get_submodule(place.module)
    return layer


def part_of(checkpoint: Checkpoint, part: str) -> Any:
    """The UNet or transformer, or one of the text encoders."""
    if part == UNET:
        return checkpoint.backbone
    return checkpoint.text_encoders[int(part.rpartition("_")[2])]
