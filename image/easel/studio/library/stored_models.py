"""Every model of the store as a card: what it is, whether it fits, what goes into a prompt with it."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from easel.models import (
    OTHER_FAMILY,
    IndexEntry,
    Kind,
    ModelFile,
    Store,
    preview_of,
    read_info,
    read_notes,
    state_beside,
)
from easel.studio.coded_text import CodedText
from easel.studio.families import FAMILY_LABELS
from easel.studio.library.card import word_of
from easel.studio.library.plain_text import line, prose
from easel.studio.library.previews import changed_at

_MOST_WORDS = 60


class NewerVersion(BaseModel):
    """A version that came out after the one that is here."""

    version: str
    base_model: str = ""
    early_access: bool = False
    address: str = Field(description="what `POST /studio/models/info` takes")


class StoredModel(BaseModel):
    """A model of the store."""

    kind: str
    name: str = Field(
        description="the path below the kind's folder; with the kind it is the model's name here"
    )
    folder: str = Field(description='its folder below the kind\'s, "/" for none')
    path: str = Field(description="how `/files` calls it")
    formerly: list[str] = Field([], description="names that it had before, and is found by still")
    label: str = Field(description="its own name, without folder and ending")
    use: str = Field(description="how a prompt or a field of a request names it")
    title: str
    size: int = Field(description="bytes")
    modified: float = Field(description="when it came or was changed, Unix seconds")
    sha256: str = ""
    family: str = Field("", description="sd1, sdxl, flux and so on, other, or empty: not known")
    families: list[str] = Field([], description="all that it serves, where it serves several")
    family_label: str = Field("", description="how people call the family")
    base_model: str = Field("", description="Civitai's or the trainer's word for what it was made for")
    fits: bool = Field(True, description="whether the caller's checkpoint can be drawn with it")
    reason: str = Field("", description="why it does not fit")
    problem: str = Field("", description="why the file itself is of no use")
    remark: CodedText | None = Field(None, description="`problem` by its code")
    trained_words: list[str] = Field([], description="as its creator says them")
    words: str = Field("", description="what a person wrote goes into the prompt with it (`activation text`)")
    negative_words: str = Field("", description="what goes into the negative prompt (`negative text`)")
    weight: float = Field(0.0, description="preferred weight; 0 where nobody said one")
    notes: str = ""
    description: str = ""
    model: str = Field("", description="Civitai's name of the model")
    version: str = ""
    page: str = Field("", description="where it came from")
    address: str = Field("", description="what to ask `info` for the model's newest version; empty elsewhere")
    version_id: int = 0
    newer: NewerVersion | None = None
    preview: str | None = Field(None, description="relative address of the picture")
    in_use: bool = Field(False, description="whether the caller draws with it")
    may_change: bool = Field(False, description="whether the caller may rename or delete it")
    training: str = Field("", description="what a checkpoint predicts, where a file says so, and which")
    training_remark: CodedText | None = Field(None, description="`training` by its code")


class StoredModels:
    """Makes the cards; what a file's header and what lies beside it say is read once. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._made: dict[Path, tuple[object, StoredModel]] = {}

    def all(self, newer: Mapping[tuple[str, str], NewerVersion]) -> list[StoredModel]:
        """All models as nobody in particular sees them, by kind and name."""
        files = [file for kind in Kind for file in self._store.files(kind)]
        before = {kind: self._store.formerly(kind) for kind in Kind}
        stems = Counter((file.kind, file.stem.lower()) for file in files)
        made = [
            self._of(file, alone=stems[file.kind, file.stem.lower()] == 1).model_copy(
                update={
                    "newer": newer.get((word_of(file.kind), file.name)),
                    "formerly": before[file.kind].get(file.name, []),
                }
            )
            for file in files
        ]
        with self._lock:
            for path in self._made.keys() - {file.path for file in files}:
                del self._made[path]
        return made

    def _of(self, file: ModelFile, *, alone: bool) -> StoredModel:
        picture = preview_of(file.path)
        changed = changed_at(picture)
        state = (file.size, file.mtime, file.sha256, state_beside(file.path), changed, alone)
        with self._lock:
            known = self._made.get(file.path)
        if known is not None and known[0] == state:
            return known[1]
        made = _described(self._store.entry(file), changed, self._linked(file), alone=alone)
        with self._lock:
            self._made[file.path] = (state, made)
        return made

    def _linked(self, file: ModelFile) -> bool:
        """Shown by a link and lying elsewhere, where it is renamed and removed."""
        try:
            real = file.path.resolve(strict=True)
            return not real.is_relative_to(self._store.folder(file.kind).resolve(strict=True))
        except (OSError, RuntimeError):
            return True


def seen_with(
    model: StoredModel, family: str, in_use: Collection[tuple[str, str]], *, member: bool
) -> StoredModel:
    """The model as somebody sees it whose checkpoint is of `family` ("" where there is none)."""
    reason = _reason(model, family)
    return model.model_copy(
        update={
            "fits": not reason,
            "reason": reason,
            "in_use": (model.kind, model.name) in in_use,
            "may_change": model.may_change and member,
        }
    )


def _reason(model: StoredModel, family: str) -> str:
    """Why a model cannot be drawn with; "" where it can, or where nobody knows."""
    if model.problem:
        return model.problem
    if model.kind == "checkpoint" or model.family in ("", family) or not family or family in model.families:
        return ""
    made_for = model.family_label or model.base_model or "another kind of model"
    return f"made for {made_for}; your checkpoint is {FAMILY_LABELS.get(family, family)}"


def _described(entry: IndexEntry, changed: int, linked: bool, *, alone: bool) -> StoredModel:
    file = entry.file
    info, notes = read_info(file.path), read_notes(file.path)
    said, model, version = info.get("model"), info.get("modelId"), info.get("id")
    told = said if isinstance(said, dict) else {}
    service = (os.environ.get("CIVITAI_ENDPOINT") or "https://civitai.com").rstrip("/")
    folder, _, _ = file.name.rpartition("/")
    whole = file.name.removesuffix(".safetensors").removesuffix(".gguf")
    kind = word_of(file.kind)
    by_name = file.kind in (Kind.LORA, Kind.EMBEDDING, Kind.UPSCALER)
    query = urlencode({"type": kind, "name": file.name, "v": changed % 10**12})
    return StoredModel(
        kind=kind,
        name=file.name,
        folder=folder or "/",
        path=f"models/{file.below_store}",
        label=line(file.stem, 200) or file.name,
        use=(file.stem if alone else whole) if by_name else file.name,
        title=file.title,
        size=file.size,
        modified=file.mtime,
        sha256=entry.sha256,
        family=entry.family,
        families=list(entry.families),
        family_label=_family_label(entry),
        base_model=line(entry.base_model, 60),
        problem=line(entry.problem, 300),
        remark=CodedText.of(entry.problem) if entry.problem else None,
        trained_words=[text for each in entry.trained_words[:_MOST_WORDS] if (text := line(each))],
        words=line(notes.words, 1000),
        negative_words=line(notes.negative_words, 1000),
        weight=notes.weight if -10 <= notes.weight <= 10 else 0.0,
        notes=notes.notes[:4000],
        description=notes.description[:2000]
        or prose(info.get("description") or told.get("description"), 2000),
        model=line(told.get("name")),
        version=line(info.get("name")),
        page=f"{service}/models/{model}" if _is_number(model) else "",
        address=f"civitai://models/{model}" if _is_number(model) else "",
        version_id=version if isinstance(version, int) and _is_number(version) else 0,
        preview=f"studio/models/files/preview?{query}" if changed else None,
        may_change=not linked,
        training=line(entry.training, 300),
        training_remark=CodedText.of(entry.training) if entry.training else None,
    )


def _family_label(entry: IndexEntry) -> str:
    if entry.family == OTHER_FAMILY:
        return line(entry.base_model, 60)
    return FAMILY_LABELS.get(entry.family, "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
