"""Text encoders and VAEs that a request names beside its checkpoint: Forge's `forge_additional_modules`.

A checkpoint with a transformer is told apart by its file and by the text encoders of other files that it
draws with (`ModelFile.encoders`), whether somebody named them or the store found them. So everything that is
kept by checkpoint (calls that people share, what is in memory, what was measured) is kept by these too, and
whoever names what would be taken anyway shares all with those who name nothing. A VAE is each picture's own,
as with `sd_vae`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache

from easel.models import (
    PART_FACTS,
    Architecture,
    CheckpointIdentity,
    FileError,
    Kind,
    ModelError,
    ModelFile,
    Store,
    UnknownModel,
    families_of_role,
    is_vae_role,
    model_set,
    needs_of,
    role_of,
)
from easel.remark import remark
from easel.studio.checkpoint_defaults import architecture

FIELD = "forge_additional_modules"
_VAE = "vae"
_OWN, _AUTOMATIC = "none", "automatic"


@dataclass(frozen=True, slots=True)
class NamedParts:
    """What a request is drawn with beside its checkpoint's file: `encoders` of those that were named, and the
    VAE's file, None for the checkpoint's own. `names` are those that were named and count, as Forge's
    infotexts have them, and `notes` sentences on the others."""

    encoders: tuple[ModelFile, ...] = ()
    vae: ModelFile | None = None
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class ChosenParts:
    """Those of the files of one store. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def files(self) -> list[ModelFile]:
        """Files that may hold what a transformer lacks: text encoders, VAEs, whole checkpoints. Looked for
        anew: who read what is missing puts it there and asks again."""
        self._store.refresh()
        return self._known()

    def named(self, names: Sequence[str], checkpoint: ModelFile, vae: str | None = None) -> NamedParts:
        """The files of these names that this checkpoint takes. `vae` is a request's own, by A1111's words: a
        file's name, which comes first, None for the checkpoint's own, or Automatic. Raises UnknownModel, and
        FileError for a file that cannot be read."""
        kind, word = architecture(checkpoint), (vae or _AUTOMATIC).strip().lower()
        taken: dict[str, ModelFile] = {}
        if word not in (_OWN, _AUTOMATIC):
            taken[_VAE] = self._store.find_vae(str(vae))
        notes, used = [], []
        for name in names:
            file = find_part(self._store, name)
            place = _place(file, kind)
            if not place:
                words = "{name} of forge_additional_modules was left out: {checkpoint} has no place for it."
                notes.append(
                    remark("module_no_place", words, about=FIELD, name=file.name, checkpoint=checkpoint.name)
                )
            elif taken.setdefault(place, file) == file:
                used.append(file.stem)
            else:
                words = "{name} of forge_additional_modules was left out: {other} comes before it."
                notes.append(
                    remark("module_second", words, about=FIELD, name=file.name, other=taken[place].name)
                )
        chosen = taken.pop(_VAE, None)
        if chosen is None and word == _AUTOMATIC:
            chosen = self._vae_beside(checkpoint)
        return NamedParts(tuple(taken.values()), chosen, tuple(dict.fromkeys(used)), tuple(notes))

    def _vae_beside(self, checkpoint: ModelFile) -> ModelFile | None:
        beside = f"{checkpoint.stem.lower()}.vae"
        called = {checkpoint.stem.lower(), beside}
        for file in (*self._store.vaes(), *self._store.checkpoints()):
            # Among the checkpoints too, as A1111 looks: many come with their VAE beside them.
            if file.stem.lower() in (called if file.kind is Kind.VAE else {beside}):
                return file
        return None

    def of(self, checkpoint: ModelFile, names: Sequence[str] = ()) -> ModelFile:
        """The checkpoint with the text encoders that it is drawn with where these files are named. Raises as
        `named` does."""
        return self.completed(checkpoint, self.named(names, checkpoint).encoders)

    def completed(self, checkpoint: ModelFile, encoders: Sequence[ModelFile] = ()) -> ModelFile:
        """The checkpoint with the text encoders that it is drawn with: these, and for others those that the
        store finds. Where something is missing it is with what is there; loading it says the rest."""
        kind = architecture(checkpoint)
        if kind is None or not kind.flow:
            return checkpoint
        plain, asked = replace(checkpoint, encoders=()), tuple(encoders)
        for files in (self._known, self.files):
            try:
                found, whole = _encoders(plain, kind, asked, tuple(files()))
            except (ModelError, OSError):
                found, whole = asked, False
            if whole:
                break
        return replace(checkpoint, encoders=found)

    def _known(self) -> list[ModelFile]:
        kinds = (Kind.TEXT_ENCODER, Kind.VAE, Kind.CHECKPOINT)
        return [file for kind in kinds for file in self._store.files(kind)]


def encoder_choices(kind: Architecture | None, files: Sequence[ModelFile]) -> dict[str, list[str]]:
    """Names of those of the store's text encoders that a checkpoint of this kind may draw with, by what
    people call them, of each that there are several of."""
    if kind is None or not kind.flow:
        return {}
    found: dict[str, list[str]] = {need.role: [] for need in needs_of(kind).text_encoders}
    for file in files:
        with suppress(FileError):
            if (role := role_of(file)) in found:
                found[role].append(file.name)
    return {_label(role): names for role, names in found.items() if len(names) > 1}


def find_part(store: Store, name: str) -> ModelFile:
    """The text encoder or VAE of this name: one of `Store.find`'s but for pieces, or the path that
    `/sdapi/v1/sd-modules` says; of a path elsewhere, as Forge's clients keep them, the last part. Raises
    UnknownModel."""
    said = name.strip().replace("\\", "/")
    for files in (store.files, lambda kind: store.refresh()[kind]):
        there = [*files(Kind.TEXT_ENCODER), *files(Kind.VAE)]
        for wanted in dict.fromkeys((said, said.rpartition("/")[2])):
            if found := _called(wanted, there):
                return found
    raise UnknownModel("text encoder or VAE", said, [one.name for one in there])


def _called(wanted: str, files: Sequence[ModelFile]) -> ModelFile | None:
    """Raises UnknownModel where it could be several."""
    by_name = {one: {one.below_store, *one.aliases} for one in files}
    exact = [one for one, names in by_name.items() if wanted in names]
    found = exact or [one for one, names in by_name.items() if wanted.lower() in map(str.lower, names)]
    whole = [one for one in found if wanted.lower() in (one.name.lower(), one.below_store.lower())]
    found = whole if len(whole) == 1 else found
    if len(found) > 1:
        names = ", ".join(repr(one.below_store) for one in found[:5])
        why = remark("could_be", "it could be {names}; name one of them in full", names=names)
        raise UnknownModel("text encoder or VAE", wanted, [], why)
    return found[0] if found else None


def _label(role: str) -> str:
    return PART_FACTS[role].words.removeprefix("the text encoder ")


def _place(file: ModelFile, kind: Architecture | None) -> str:
    """Which part of a checkpoint of this kind a file would be; "" for none. Raises FileError."""
    role = role_of(file)
    if file.kind is Kind.VAE or is_vae_role(role):
        # Not by its name, as with `sd_vae`. SD 1.x, 2.x and SDXL have VAEs of no role; which is whose is
        # seen once both are loaded.
        role = role_of(file, by_name=False)
        fits = kind is None or (kind.family in families_of_role(role) if kind.flow else not role)
        return _VAE if fits else ""
    if kind is None or not kind.flow:
        return ""
    return role if role in [need.role for need in needs_of(kind).text_encoders] else ""


@lru_cache(maxsize=128)
def _encoders(
    checkpoint: ModelFile, kind: Architecture, asked: tuple[ModelFile, ...], others: tuple[ModelFile, ...]
) -> tuple[tuple[ModelFile, ...], bool]:
    """The text encoders of other files that it draws with, and whether it lacks none. Kept, for it is asked
    with each request. Raises a ModelError."""
    found = model_set(checkpoint, CheckpointIdentity(kind), others, modules=asked)
    files = {one.path: one for one in (*others, *asked) if one.path != checkpoint.path}
    parts = [files.get(part.path) for part in found.text_encoders if part is not None]
    return tuple(one for one in parts if one is not None), None not in found.text_encoders
