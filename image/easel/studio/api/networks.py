"""What the lists say of LoRAs and embeddings: metadata, and which embeddings fit a caller's checkpoint."""

from __future__ import annotations

import json
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel

from easel.models import (
    FileError,
    Header,
    Kind,
    ModelError,
    ModelFile,
    Store,
    identity_of,
    preview_of,
    read_header,
)
from easel.studio.engine import EngineError, names_for, vectors_of
from easel.studio.families import Family
from easel.studio.families import family as family_of
from easel.studio.picture_bounds import check_pieces, is_long, upright
from easel.studio.png import encode_preview
from easel.studio.studio import Studio

log = structlog.get_logger(__name__)

# The longer side of a card's picture, and what is not opened for one.
_SIDE, _MOST_PIXELS, _MOST_BYTES = 320, 40_000_000, 64_000_000


class EmbeddingItem(BaseModel):
    """A textual inversion: `vectors` tokens' places, `shape` numbers each."""

    step: int | None = None
    sd_checkpoint: str | None = None
    sd_checkpoint_name: str | None = None
    shape: int
    vectors: int


class EmbeddingLists(BaseModel):
    """Embeddings by name: `loaded` can be drawn with now, `skipped` were made for another kind of model."""

    loaded: dict[str, EmbeddingItem]
    skipped: dict[str, EmbeddingItem]


def embedding_lists(studio: Studio, owner: str) -> EmbeddingLists:
    """All embeddings, sorted into those for `owner`'s checkpoint and those for others."""
    family: Family | None = None
    try:
        checkpoint = studio.checkpoint(owner)
        family = family_of(identity_of(checkpoint.path, checkpoint.name).architecture)
    except (EngineError, ModelError) as error:
        log.info("embeddings not sorted: no checkpoint", reason=str(error)[:200])
    lists = EmbeddingLists(loaded={}, skipped={})
    for file in studio.engine.store.files(Kind.EMBEDDING):
        try:
            header = _header(file.path, file.mtime)
            count, width = next(iter(vectors_of(file, header).values()))
        except FileError:
            continue
        try:
            fits = family is not None and bool(names_for(file, header, family))
        except FileError:
            fits = False
        # of two called alike, the first that fits is the one that is drawn with
        (lists.loaded if fits else lists.skipped).setdefault(
            file.stem, EmbeddingItem(shape=width, vectors=count)
        )
    return lists


def preview(store: Store, name: str) -> bytes | None:
    """The picture beside a LoRA as a small JPEG; None where there is none that can be shown."""
    file = next((one for one in store.files(Kind.LORA) if one.name == name), None)
    return preview_of_file(file) if file else None


def preview_of_file(file: ModelFile) -> bytes | None:
    """The picture beside a model as a small JPEG; None where there is none that can be shown."""
    path = preview_of(file.path)
    try:
        return _small(path, path.stat().st_mtime) if path else None
    except OSError:
        return None


@lru_cache(maxsize=256)
def _small(path: Path, changed: float) -> bytes | None:
    return small_jpeg(path)


def small_jpeg(source: Path | BytesIO) -> bytes | None:
    """A picture small, None where it is none. Made anew: what lies beside a model came from a stranger."""
    from PIL import Image

    try:
        with source.open("rb") if isinstance(source, Path) else source as file:
            data = file.read(_MOST_BYTES)
        check_pieces(data)
        with Image.open(BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture:
            if picture.width * picture.height > _MOST_PIXELS or is_long(picture):
                return None
            picture.draft("RGB", (_SIDE, _SIDE))
            return encode_preview(upright(picture).convert("RGB"), side=_SIDE)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        log.info("no preview", reason=str(e)[:200])
        return None


def metadata_of(file: ModelFile) -> dict[str, Any]:
    """What the file's header says of its training, JSON in it read, as A1111 lists it."""
    return dict(_metadata(file.path, file.mtime))


@lru_cache(maxsize=512)
def _metadata(path: Path, changed: float) -> dict[str, Any]:
    try:
        said = read_header(path).metadata
    except FileError:
        return {}
    found: dict[str, Any] = {}
    for key, text in said.items():
        found[key] = text
        if text[:1] in "{[":
            try:
                found[key] = json.loads(text)
            except (ValueError, RecursionError):
                continue
    return found


@lru_cache(maxsize=512)
def _header(path: Path, changed: float) -> Header:
    return read_header(path)
