"""Where each module of a checkpoint takes its tensors from: one file, or folders of diffusers'."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from easel.models import (
    FileError,
    Header,
    Incomplete,
    ModelFile,
    ModelSet,
    Piece,
    Reader,
    SetPart,
    WrongKind,
    is_vae,
    path_now,
    pieces_of,
    read_model_header,
    small_kind,
)
from easel.studio.engine.checkpoints.skeleton import Skeleton, fill, is_empty
from easel.studio.engine.latents.latent_spaces import latent_space
from easel.studio.engine.quantised.packed_modules import keep_packed, laid_open
from easel.studio.engine.quantised.stored_weight import StoredTensor
from easel.studio.engine.tensors.conversion import (
    Traced,
    converter,
    text_names,
    to_unet,
    to_vae,
    unet_names,
    vae_names,
)
from easel.studio.engine.tensors.scales import apply, check_rest, choose
from easel.studio.engine.tensors.weights import DTYPES, Weights
from easel.studio.engine.text_models.table import text_model
from easel.studio.engine.transformers.table import transformer_of
from easel.studio.families import Family

_CPU = torch.device("cpu")
Convert = Callable[[Mapping[str, torch.Tensor], Any], dict[str, torch.Tensor]]


@dataclass
class CheckpointPart:
    """One module to be filled: which tensors of which files it takes, and how they are renamed.

    `name` is how messages call the model. `check` takes out of `pieces` what is not used; that is `left_out`
    then, and `scales` names the scale of each weight that has one; `stored` are the weights that are no plain
    numbers in the file. `small`: the linear layers keep those as they are (`quantised`), from `check` on, and
    weights in eight bits with them. `problem` is why there are no pieces.
    """

    words: str
    module: Any
    name: str
    pieces: tuple[tuple[Piece, list[str]], ...]
    convert: Convert
    problem: FileError | None = None
    small: bool = False
    stored: dict[str, StoredTensor] = field(default_factory=dict)
    scales: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise Incomplete unless the files hold every tensor of the module, in the module's shape.

        And unless it is known what each tensor means that stands beside one of them.
        """
        if self.problem is not None:
            raise self.problem
        there = {name: piece.header.tensors[name] for piece, names in self.pieces for name in names}
        if not there:
            raise Incomplete(self.name, f"it holds no {self.words}")
        choice = choose(self.name, self.words, there, self._read_as_stored, small=self.small)
        shapes = {name: there[name].shape for name in choice.weights}
        shapes |= {name: weight.shape for name, weight in choice.stored.items()}
        try:
            found = self.convert({name: Traced.of(name, shapes[name]) for name in shapes}, self.module)
        except (KeyError, IndexError, AttributeError, RuntimeError) as error:
            raise Incomplete(self.name, f"its {self.words} cannot be understood ({error})") from None
        wanted = {name: tuple(tensor.shape) for name, tensor in self.module.state_dict().items()}
        missing = [name for name in wanted if name not in found]
        if missing:
            count = f"{len(missing)} of {len(wanted)} tensors of its {self.words}"
            raise Incomplete(self.name, f"{count} are missing, the first is {missing[0]}; download it again")
        used = {name for one in wanted for name in getattr(found[one], "names", ())}
        self.left_out = [name for name in shapes if name not in used]
        check_rest(self.name, self.words, used, self.left_out)
        for name in used:
            if name not in choice.stored and there[name].dtype not in DTYPES:
                raise Incomplete(
                    self.name,
                    f"{name} is stored as {there[name].dtype}, which holds no weights for this studio",
                )
        for name, shape in wanted.items():
            have = tuple(found[name].shape)
            if have != shape:
                problem = f"{name} of its {self.words} is {_times(have)} where {_times(shape)} is expected"
                raise Incomplete(self.name, f"{problem}; it belongs to a variant that is not known here")
        self.scales = {weight: scale for weight, scale in choice.scales.items() if weight in used}
        self.stored = {name: weight for name, weight in choice.stored.items() if name in used}
        sources = (name for one in self.stored.values() for name in one.sources)
        read = (used - self.stored.keys()).union(self.scales.values(), sources)
        self.pieces = tuple((piece, [name for name in names if name in read]) for piece, names in self.pieces)
        if self.small and self.stored:
            self._keep_small({name: shapes[name] for name in used})

    def _keep_small(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        outlines = {
            name: self.stored[name].outlined(torch.float32)
            if name in self.stored
            else torch.empty(shape, device="meta")
            for name, shape in shapes.items()
        }
        keep_packed(self.module, self.convert(outlines, self.module))

    def _read_as_stored(self, names: Collection[str]) -> dict[str, torch.Tensor]:
        """Tensors that say how others are stored, before anything else is read."""
        found: dict[str, torch.Tensor] = {}
        for piece, there in self.pieces:
            if wanted := [name for name in names if name in there]:
                with Weights(piece.path, piece.header) as weights:
                    found |= weights.read(wanted, device=_CPU, dtype=torch.float32, keep=wanted)
        return found

    def load(
        self, readers: Mapping[Path, Reader], device: torch.device, dtype: torch.dtype,
        progress: Callable[[int], None],
    ) -> None:  # fmt: skip
        """Read the weights and put them into the module. Call `check` before."""
        tensors: dict[str, torch.Tensor] = {}
        values: dict[str, torch.Tensor] = {}
        beside = set(self.scales.values())
        kept = {name for one in self.stored.values() for name in one.sources}
        for piece, names in self.pieces:
            weights = Weights(piece.path, piece.header, reader=readers[piece.path])
            own = [name for name in names if name not in beside]
            scales = [name for name in names if name in beside]
            tensors |= weights.read(own, device=device, dtype=dtype, progress=progress, keep=kept)
            values |= weights.read(scales, device=_CPU, dtype=torch.float32, progress=progress)
        apply(self.name, tensors, self.scales, values)
        stored = {name: tensors.pop(name) for name in kept}
        tensors |= self._taken(stored, dtype)
        converted = laid_open(self.module, self.convert(tensors, self.module))
        del tensors
        fill(self.module, converted, device)

    def _taken(self, stored: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """What the file's tensors mean; each goes as soon as nothing more is made of it."""
        last = {name: one for one in self.stored.values() for name in one.sources}
        found: dict[str, torch.Tensor] = {}
        for name, one in self.stored.items():
            found[name] = one.taken(self.name, stored, dtype)
            for source in one.sources:
                if last[source] is one:
                    stored.pop(source, None)
        return found

    @property
    def nbytes(self) -> int:
        """Bytes that are read for this part."""
        return sum(piece.header.tensors[name].nbytes for piece, names in self.pieces for name in names)

    @property
    def largest(self) -> int:
        """Bytes of the largest tensor."""
        sizes = (piece.header.tensors[name].nbytes for piece, names in self.pieces for name in names)
        return max(sizes, default=0)


def parts_of_file(
    file: ModelFile, header: Header, vae: ModelFile | None, family: Family, bones: Skeleton
) -> list[CheckpointPart]:
    """The parts of a checkpoint in one file. Raises WrongKind and what `read_header` raises, for `vae`."""
    whole = Piece(file.path, header)
    parts: list[CheckpointPart] = []
    for encoder, module in zip(family.text_encoders, bones.text_encoders, strict=True):
        names = text_names(header.tensors, encoder.open_clip)
        parts.append(
            CheckpointPart("text encoder", module, file.name, ((whole, names),), converter(encoder.open_clip))
        )
    if vae is not None:
        parts.append(vae_part(vae, bones.vae))
    else:
        parts.append(
            CheckpointPart("VAE", bones.vae, file.name, ((whole, vae_names(header.tensors)),), to_vae)
        )
    parts.append(
        CheckpointPart("UNet", bones.backbone, file.name, ((whole, unet_names(header.tensors)),), to_unet)
    )
    return parts


def parts_of_folder(
    file: ModelFile, vae: ModelFile | None, family: Family, bones: Skeleton, *, half: bool
) -> list[CheckpointPart]:
    """The parts of a checkpoint in a folder of diffusers' layout. Raises FileError."""

    def part(words: str, folder: str, module: Any, convert: Convert) -> CheckpointPart:
        pieces = pieces_of(path_now(file.path), folder, half=half)
        named = tuple(
            (one, [name for name in one.header.tensors if not _is_left_out(name)]) for one in pieces
        )
        return CheckpointPart(words, module, file.name, named, convert)

    parts = [
        part("text encoder", encoder.folder, module, _to_text)
        for encoder, module in zip(family.text_encoders, bones.text_encoders, strict=True)
    ]
    if vae is not None:
        parts.append(vae_part(vae, bones.vae))
    else:
        try:
            parts.append(part("VAE", "vae", bones.vae, to_vae))
        except FileError as error:
            parts.append(CheckpointPart("VAE", bones.vae, file.name, (), to_vae, problem=error))
    parts.append(part("UNet", "unet", bones.backbone, lambda tensors, _: dict(tensors)))
    return parts


def parts_of_set(found: ModelSet, family: Family, bones: Skeleton) -> list[CheckpointPart]:
    """The parts of a checkpoint whose transformer, text encoders and VAE may lie in files of their own. An
    encoder that may be missing, and is, has none, nor has what has its weights."""
    parts = [
        _of_set("text encoder", part, module, text_model(family.name, encoder.role).convert)
        for part, encoder, module in zip(
            found.text_encoders, family.text_encoders, bones.text_encoders, strict=True
        )
        if part is not None
    ]
    parts.append(_of_set("VAE", found.vae, bones.vae, latent_space(bones.vae).convert))
    parts.append(
        _of_set("transformer", found.transformer, bones.backbone, transformer_of(family.architecture).convert)
    )
    return [part for part in parts if is_empty(part.module)]


def _of_set(words: str, part: SetPart, module: Any, convert: Convert) -> CheckpointPart:
    pieces = tuple(
        (piece, [name for name in piece.header.tensors if name.startswith(part.prefix)])
        for piece in part.pieces
    )

    def without_prefix(tensors: Mapping[str, torch.Tensor], module: Any) -> dict[str, torch.Tensor]:
        plain = {name.removeprefix(part.prefix): tensor for name, tensor in tensors.items()}
        return convert(plain, module)

    return CheckpointPart(words, module, part.name, pieces, without_prefix, small=words != "VAE")


def vae_part(file: ModelFile, module: Any) -> CheckpointPart:
    """A VAE of its own file, in any layout of its kind. Raises WrongKind and what `read_model_header`
    raises."""
    header, space = read_model_header(file.path), latent_space(module)
    if not is_vae(header):
        small = small_kind(header)
        what, folder = (small[1], small[0]) if small else ("a checkpoint or another model", None)
        raise WrongKind(file.name, what, folder.folder if folder else None, wanted="a VAE")
    return CheckpointPart(
        "VAE", module, file.name, ((Piece(file.path, header), space.names(header.tensors)),), space.convert
    )


def _to_text(tensors: Mapping[str, torch.Tensor], encoder: Any) -> dict[str, torch.Tensor]:
    """Transformers 5.6 flattened `CLIPTextModel` and left "text_model." out of what it saves."""
    plain = {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
    if not isinstance(getattr(encoder, "text_model", None), nn.Module):
        return plain
    return {
        name if name.startswith("text_projection.") else f"text_model.{name}": tensor
        for name, tensor in plain.items()
    }


def _is_left_out(name: str) -> bool:
    return name.endswith((".position_ids", "logit_scale"))


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
