"""What is known of a model file at a glance: from its header, from what lies beside it, from its record."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

from easel.models.architecture import CheckpointIdentity, identify
from easel.models.base_family import family_of_header, family_of_words
from easel.models.diffusers_folder import drawing_part, identify_folder, is_diffusers_folder, pieces_of
from easel.models.errors import FileError
from easel.models.family_needs import families_of_role
from easel.models.header import Header
from easel.models.kind import Kind
from easel.models.model_file import ModelFile, sidecar_path
from easel.models.model_folder import state_of_model
from easel.models.model_header import read_model_header
from easel.models.parts import part_in
from easel.models.precision import precision_of
from easel.models.records import FileState, Records
from easel.models.sidecar import read_sidecar, state_beside
from easel.remark import remark

CIVITAI_INFO = ".civitai.info"
"""The ending of Civitai Helper's file, in the place of `.safetensors`."""
PICTURE_ENDINGS = (
    ".preview.png",
    ".preview.jpg",
    ".preview.jpeg",
    ".preview.webp",
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
)
"""Of pictures beside a model, in the order in which A1111 looks for them."""
_INFO_LIMIT = 5_000_000


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One file of the index. Empty strings where nothing is known; `problem` says why a file is no use.

    `training` says of a checkpoint what it predicts, where that is said anywhere, and by what it was told;
    `autov2` and `autov3` are Civitai's hashes, `precision` that of most of the bytes ("fp16"), `source` the
    address it came from, `base_model` Civitai's or the trainer's word for what it was made for, and `family`
    the family of checkpoints that this is or was made for (base_family.py). Of a text encoder or a VAE `role`
    is its part in a model (parts.py), and `families` are all that draw with it.
    """

    file: ModelFile
    sha256: str = ""
    autov3: str = ""
    architecture: str = ""
    training: str = ""
    precision: str = ""
    base_model: str = ""
    family: str = ""
    role: str = ""
    families: tuple[str, ...] = ()
    trained_words: tuple[str, ...] = ()
    preview: Path | None = None
    source: str = ""
    problem: str = ""

    @property
    def autov2(self) -> str:
        """The first ten digits of the SHA-256."""
        return self.sha256[:10]


class Index:
    """Entries of files. Thread-safe."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lock = threading.Lock()
        # What headers say: kept, for it is some milliseconds to read.
        self._facts: dict[Path, tuple[object, IndexEntry]] = {}

    def entry(self, file: ModelFile) -> IndexEntry:
        """What is known of `file`."""
        try:
            state = state_of_model(file.path)
        except OSError as error:
            return IndexEntry(file, problem=f"cannot be read ({error.strerror})")
        facts = self._facts_of(file, state)
        record = self._records.get(file.path, state)
        info = read_info(file.path)
        return replace(
            facts,
            file=file,
            sha256=record.sha256,
            autov3=record.autov3,
            base_model=(words := str(info.get("baseModel") or facts.base_model)),
            family=facts.family or family_of_words(words),
            trained_words=_words(info) or facts.trained_words,
            preview=preview_of(file.path),
            source=record.source,
        )

    def _facts_of(self, file: ModelFile, state: FileState) -> IndexEntry:
        now = (state, state_beside(file.path))
        with self._lock:
            known = self._facts.get(file.path)
        if known is not None and known[0] == now:
            return known[1]
        facts = _read_facts(file)
        with self._lock:
            self._facts[file.path] = (now, facts)
        return facts


def read_info(model: Path) -> dict[str, object]:
    """The `.civitai.info` beside a model; empty if there is none that can be read."""
    path = sidecar_path(model, CIVITAI_INFO)
    try:
        if path.stat().st_size > _INFO_LIMIT:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def identity_of(path: Path, name: str) -> CheckpointIdentity:
    """What the checkpoint at `path` is, a file or a folder; `name` is for messages. Raises a FileError."""
    if is_diffusers_folder(path):
        return identify_folder(path)
    return identify(read_model_header(path), name=name, sidecar=read_sidecar(path))


def preview_of(model: Path) -> Path | None:
    """The picture beside a model, as A1111 looks for it."""
    return next((path for end in PICTURE_ENDINGS if (path := sidecar_path(model, end)).is_file()), None)


def _words(info: dict[str, object]) -> tuple[str, ...]:
    words = info.get("trainedWords")
    return tuple(str(word) for word in words) if isinstance(words, list) else ()


def _read_facts(file: ModelFile) -> IndexEntry:
    if is_diffusers_folder(file.path):
        return _facts_of_folder(file)
    try:
        header = read_model_header(file.path)
    except FileError as error:
        return IndexEntry(file, problem=error.problem)
    said = header.metadata
    phrase = said.get("modelspec.trigger_phrase", "")
    identity = _identity(file, header)
    role, _ = part_in(header.tensors, file.name) if file.kind in (Kind.TEXT_ENCODER, Kind.VAE) else ("", "")
    families = families_of_role(role)
    return IndexEntry(
        file,
        architecture=identity.architecture if identity else "",
        training=_training(identity) if identity else "",
        precision=precision_of(header),
        base_model=said.get("ss_base_model_version") or said.get("modelspec.architecture", ""),
        family=_family(identity, families) or family_of_header(file.kind, header),
        role=role,
        families=families,
        trained_words=tuple(word.strip() for word in phrase.split(",") if word.strip()),
    )


def _facts_of_folder(file: ModelFile) -> IndexEntry:
    try:
        (first, *_) = pieces_of(file.path, drawing_part(file.path), half=True)
        identity = identify_folder(file.path)
        return IndexEntry(
            file,
            architecture=identity.architecture,
            training=_training(identity),
            precision=precision_of(first.header),
            family=identity.architecture.family,
        )
    except FileError as error:
        return IndexEntry(file, problem=error.problem)


def _identity(file: ModelFile, header: Header) -> CheckpointIdentity | None:
    try:
        return identify(header, name=file.path.name, sidecar=read_sidecar(file.path))
    except FileError:
        return None  # a LoRA, VAE and so on: its kind says what it is


def _family(identity: CheckpointIdentity | None, families: tuple[str, ...]) -> str:
    return identity.architecture.family if identity else next(iter(families), "")


def _training(identity: CheckpointIdentity) -> str:
    if not identity.prediction and identity.zero_snr is None and not identity.notes:
        return ""
    return reduce(_and_then, identity.notes, identity.words)


def _and_then(one: str, other: str) -> str:
    return remark("two_sentences", "{one}. {other}", one=one, other=other)
