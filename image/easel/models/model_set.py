"""The files that a model draws with: its transformer, its text encoders and its VAE, wherever they lie.

A part is looked for in this order:

1. for the VAE, the file that was chosen for it;
2. among the files that were named with the request (Forge's `forge_additional_modules`), in their order;
3. in the checkpoint: a file that holds all (`text_encoders.clip_l.`, `vae.`), or diffusers' folder;
4. among all others of the store: first those whose name begins with the checkpoint's (`dream.vae.safetensors`
   beside `dream.safetensors`), then those whose name says the very role, then the more precise, then by name.

So every replica makes the same set of the same files. A file that cannot be read is passed over, and named
where its part is missing in the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from easel.models.architecture import CheckpointIdentity
from easel.models.diffusers_folder import Piece, is_diffusers_folder, pieces_of
from easel.models.errors import FileError, Incomplete, NotSafetensors
from easel.models.family_names import Architecture
from easel.models.family_needs import FLOW_LABELS, Needs, needs_of
from easel.models.header import Header, TensorInfo
from easel.models.kind import Kind
from easel.models.model_file import ModelFile
from easel.models.model_header import read_model_header
from easel.models.parts import (
    FACTS,
    VAE_16,
    VAE_FLUX,
    VAE_PREFIXES,
    VAE_SD3,
    is_vae_role,
    part_in,
    text_encoder_role,
    under,
    vae_role,
)
from easel.models.precision import precision_rank
from easel.models.transformer_architecture import transformer_prefix

TRANSFORMER = "transformer"
_TEXT_PREFIX = re.compile(r"(text_encoders\.([^.]+)\.(?:transformer\.)?)")
# Where diffusers' layout keeps the text encoders, in the order of a family's needs.
_FOLDERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class SetPart:
    """One part, and the files it lies in. `role` is "transformer", or one of parts.py.

    Its tensors are those of each piece's header that begin with `prefix`, which is no part of their names.
    `name` is how messages call the file or folder.
    """

    role: str
    name: str
    pieces: tuple[Piece, ...]
    prefix: str = ""

    @property
    def path(self) -> Path:
        """The file, or the first of a part that lies in several."""
        return self.pieces[0].path

    @property
    def header(self) -> Header:
        """That file's header."""
        return self.pieces[0].header

    @property
    def tensors(self) -> dict[str, TensorInfo]:
        """All tensors of the part, by their names without the prefix."""
        return {
            name.removeprefix(self.prefix): one
            for piece in self.pieces
            for name, one in piece.header.tensors.items()
            if name.startswith(self.prefix)
        }

    @property
    def nbytes(self) -> int:
        """Bytes of its weights in the files."""
        return sum(one.nbytes for one in self.tensors.values())


@dataclass(frozen=True, slots=True)
class ModelSet:
    """All that a model draws with; text encoders in the order of its family's needs, None where an optional
    one is missing."""

    architecture: Architecture
    transformer: SetPart
    text_encoders: tuple[SetPart | None, ...]
    vae: SetPart

    @property
    def parts(self) -> tuple[SetPart, ...]:
        """Every part that is there."""
        return (self.transformer, *(one for one in self.text_encoders if one is not None), self.vae)


def role_of(file: ModelFile, *, by_name: bool = True) -> str:
    """Which part of a model a text encoder or VAE file is (see parts.py), without `by_name` by its tensors
    alone; "" for none. Raises FileError."""
    header = _header(file.path, file.size, file.mtime)
    return part_in(header.tensors, file.name if by_name else "")[0]


def set_bytes(model: ModelSet) -> int:
    """Bytes of all weights of the set, as they lie in the files."""
    return sum(part.nbytes for part in model.parts)


def model_set(
    checkpoint: ModelFile,
    identity: CheckpointIdentity,
    others: Iterable[ModelFile],
    *,
    vae: ModelFile | None = None,
    modules: Sequence[ModelFile] = (),
) -> ModelSet:
    """The set that `checkpoint` draws with. `identity` is of a family with a transformer.

    `others` are the store's text encoders and VAEs, `vae` the VAE that was chosen, `modules` the files that
    were named with the request; of these, what the family does not take is left alone. Raises Incomplete,
    which names all that is missing, and what reading the checkpoint's own header raises.
    """
    needs = needs_of(identity.architecture)
    own = _Own.of(checkpoint, needs)
    beside = _Beside(checkpoint, modules, others)
    found = [
        beside.named_text_encoder(need.role) or own.texts.get(need.role) or beside.text_encoder(need.role)
        for need in needs.text_encoders
    ]
    chosen = (
        _chosen_vae(vae, needs.vae, checkpoint)
        or beside.named_vae(needs.vae)
        or own.vae
        or beside.vae(needs.vae)
    )
    missing = [
        need.role
        for need, part in zip(needs.text_encoders, found, strict=True)
        if part is None and not need.optional
    ]
    if chosen is None:
        missing.append(needs.vae)
    if missing or chosen is None:
        raise Incomplete(checkpoint.name, _missing_words(identity.architecture, missing, own, beside))
    return ModelSet(identity.architecture, own.transformer, tuple(found), chosen)


@dataclass(frozen=True, slots=True)
class _Own:
    """The parts inside the checkpoint. `problems` are sentences on parts that are there and of no use."""

    transformer: SetPart
    texts: Mapping[str, SetPart]
    vae: SetPart | None
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, checkpoint: ModelFile, needs: Needs) -> _Own:
        if is_diffusers_folder(checkpoint.path):
            return cls._of_folder(checkpoint, needs)
        header = read_model_header(checkpoint.path)
        whole = (Piece(checkpoint.path, header),)
        prefix = transformer_prefix(header)
        if prefix is None:
            raise Incomplete(checkpoint.name, "it holds no transformer, as the file beside it says")
        texts: dict[str, SetPart] = {}
        for start, label in sorted(set(_text_starts(header))):
            role = text_encoder_role(under(header.tensors, start), label)
            if role:
                texts.setdefault(role, SetPart(role, checkpoint.name, whole, start))
        vaes = (
            SetPart(needs.vae, checkpoint.name, whole, start)
            for start in VAE_PREFIXES
            if vae_role(under(header.tensors, start), "") in _accepted(needs.vae)
        )
        return cls(SetPart(TRANSFORMER, checkpoint.name, whole, prefix), texts, next(vaes, None))

    @classmethod
    def _of_folder(cls, checkpoint: ModelFile, needs: Needs) -> _Own:
        problems: list[str] = []

        def part(role: str, folder: str) -> SetPart | None:
            try:
                return SetPart(role, checkpoint.name, pieces_of(checkpoint.path, folder, half=True))
            except (Incomplete, NotSafetensors) as error:
                if (checkpoint.path / folder).is_dir():
                    problems.append(f"in {folder}/ {error.problem}")
                return None

        pieces = pieces_of(checkpoint.path, "transformer", half=True)
        transformer = SetPart(TRANSFORMER, checkpoint.name, pieces)
        # Fewer encoders than folders, never more: the shorter counts.
        named = zip(needs.text_encoders, _FOLDERS, strict=False)
        texts = {need.role: one for need, folder in named if (one := part(need.role, folder)) is not None}
        return cls(transformer, texts, part(needs.vae, "vae"), tuple(problems))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file of the store that may be a part; `role` is "" for one that is none."""

    file: ModelFile
    header: Header
    role: str
    prefix: str

    def part(self, role: str) -> SetPart:
        return SetPart(role, self.file.name, (Piece(self.file.path, self.header),), self.prefix)


class _Beside:
    """The files beside the checkpoint, in the order in which they are taken. Headers are read when needed."""

    def __init__(
        self, checkpoint: ModelFile, modules: Iterable[ModelFile], others: Iterable[ModelFile]
    ) -> None:
        self._stem = checkpoint.stem.lower()
        self._modules = list(modules)
        named = {one.path for one in self._modules}
        self._others = sorted(
            (one for one in others if one.path not in named), key=lambda one: (one.name.lower(), one.name)
        )
        self.unread: list[str] = []
        self._found: tuple[list[_Candidate], list[_Candidate]] | None = None

    def named_text_encoder(self, role: str) -> SetPart | None:
        """The text encoder of this role that was named with the request."""
        named, _ = self._candidates()
        return next((one.part(role) for one in named if one.role == role), None)

    def named_vae(self, role: str) -> SetPart | None:
        """The same of the VAE."""
        named, _ = self._candidates()
        return next((one.part(role) for one in named if one.role in _accepted(role)), None)

    def text_encoder(self, role: str) -> SetPart | None:
        """The text encoder of this role among all others of the store."""
        _, others = self._candidates()
        fitting = sorted((one for one in others if one.role == role), key=self._preference)
        return fitting[0].part(role) if fitting else None

    def vae(self, role: str) -> SetPart | None:
        """The same of the VAE."""
        roles = _accepted(role)
        _, others = self._candidates()
        fitting = sorted(
            (one for one in others if one.role in roles),
            key=lambda one: (self._named_so(one), roles.index(one.role), *self._preference(one)),
        )
        return fitting[0].part(role) if fitting else None

    def near(self, missing: Iterable[str], needs: Needs) -> list[str]:
        """What is there of the kinds that something is missing of, and of no use to this family, in words."""
        kinds = {is_vae_role(role) for role in missing}
        useful = {"", *(need.role for need in needs.text_encoders)}
        named, others = self._candidates()
        there = [
            one for one in (*named, *others) if one.role not in useful and is_vae_role(one.role) in kinds
        ]
        return [f"{one.file.name} is {FACTS[one.role].words}" for one in there]

    def _preference(self, one: _Candidate) -> tuple[object, ...]:
        return self._named_so(one), precision_rank(one.header), one.file.name.lower(), one.file.name

    def _named_so(self, one: _Candidate) -> bool:
        """False, which comes first, for a file whose name begins with the checkpoint's."""
        return not one.file.stem.lower().startswith(self._stem)

    def _candidates(self) -> tuple[list[_Candidate], list[_Candidate]]:
        if self._found is None:
            self._found = self._read(self._modules), self._read(self._others)
        return self._found

    def _read(self, files: Iterable[ModelFile]) -> list[_Candidate]:
        found = []
        for file in files:
            if file.kind not in (Kind.TEXT_ENCODER, Kind.VAE):
                continue
            try:
                header = _header(file.path, file.size, file.mtime)
            except FileError as error:
                self.unread.append(str(error))
                continue
            found.append(_Candidate(file, header, *part_in(header.tensors, file.name)))
        return found


@lru_cache(maxsize=256)
def _header(path: Path, size: int, mtime: float) -> Header:
    """Kept, for a set is asked for with each request; size and time of change tell another file."""
    return read_model_header(path)


def _chosen_vae(vae: ModelFile | None, wanted: str, checkpoint: ModelFile) -> SetPart | None:
    """The VAE that was chosen. Raises Incomplete for one of another family."""
    if vae is None:
        return None
    header = read_model_header(vae.path)
    # Not by its name: whoever chose it knows whether it is SD 3's or FLUX.1's, which differ in nothing else.
    role, prefix = part_in(header.tensors)
    if role in _accepted(wanted):
        return SetPart(wanted, vae.name, (Piece(vae.path, header),), prefix)
    what = FACTS[role].words if role else "no VAE of this family"
    raise Incomplete(
        checkpoint.name,
        f"the VAE that was chosen does not fit: {vae.name} is {what}, and {FACTS[wanted].words} is needed; "
        "choose that, or Automatic",
    )


def _accepted(role: str) -> tuple[str, ...]:
    """Which roles of VAEs serve where this one is needed, the surer first."""
    return (role, VAE_16) if role in (VAE_SD3, VAE_FLUX) else (role,)


def _text_starts(header: Header) -> Iterable[tuple[str, str]]:
    found = (_TEXT_PREFIX.match(name) for name in header.tensors)
    return ((one[1], one[2]) for one in found if one is not None)


def _missing_words(architecture: Architecture, missing: Sequence[str], own: _Own, beside: _Beside) -> str:
    """One sentence on all that is missing, and one on what is there and does not serve."""
    wanted = [
        f"{FACTS[role].words} ({FACTS[role].usual}) in models/{_kind_of(role).folder}" for role in missing
    ]
    listed = wanted[0] if len(wanted) == 1 else f"{', '.join(wanted[:-1])} and {wanted[-1]}"
    words = f"to draw with {FLOW_LABELS[architecture.family]}, there has to be {listed}"
    useless = [*own.problems, *beside.unread, *beside.near(missing, needs_of(architecture))]
    if not useless:
        return words
    more = f", and {len(useless) - _MOST_NAMED} more" if len(useless) > _MOST_NAMED else ""
    return f"{words}. What is there does not serve: {'; '.join(useless[:_MOST_NAMED])}{more}"


def _kind_of(role: str) -> Kind:
    return Kind.VAE if is_vae_role(role) else Kind.TEXT_ENCODER
