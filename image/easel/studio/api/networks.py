"""What the lists say of LoRAs and embeddings: metadata, and which embeddings fit a caller's checkpoint."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel

from easel.models import (
    Architecture,
    FileError,
    Kind,
    ModelError,
    ModelFile,
    Store,
    detect,
    preview_of,
    read_header,
)
from easel.studio.engine import EngineError
from easel.studio.families import family, text_widths
from easel.studio.png import encode_preview
from easel.studio.studio import Studio

log = structlog.get_logger(__name__)

# The longer side of a card's picture, and what is not opened for one.
_SIDE, _MOST_PIXELS = 320, 40_000_000


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
    try:
        checkpoint = studio.checkpoint(owner)
        widths = _text_widths(checkpoint.path, checkpoint.mtime)
    except (EngineError, ModelError):
        widths = ()
    lists = EmbeddingLists(loaded={}, skipped={})
    for file in studio.engine.store.files(Kind.EMBEDDING):
        found = _vectors(file.path, file.mtime)
        if not found:
            continue
        fits = bool(widths) and set(widths) <= {width for _, width in found}
        count, width = found[0]
        (lists.loaded if fits else lists.skipped)[file.stem] = EmbeddingItem(shape=width, vectors=count)
    return lists


def preview(store: Store, name: str) -> bytes | None:
    """The picture beside a LoRA as a small JPEG; None where there is none that can be shown.

    Made anew: what lies beside a model came from a stranger.
    """
    file = next((one for one in store.files(Kind.LORA) if one.name == name), None)
    path = preview_of(file.path) if file else None
    try:
        return _small(path, path.stat().st_mtime) if path else None
    except OSError:
        return None


@lru_cache(maxsize=256)
def _small(path: Path, changed: float) -> bytes | None:
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                return None
            picture.draft("RGB", (_SIDE, _SIDE))
            return encode_preview(ImageOps.exif_transpose(picture).convert("RGB"), side=_SIDE)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        log.info("no preview", file=path.name, reason=str(e)[:200])
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
def _vectors(path: Path, changed: float) -> tuple[tuple[int, int], ...]:
    """(vectors, width) of each tensor of an embedding; nothing for a file that is none."""
    try:
        tensors = read_header(path).tensors
    except FileError:
        return ()
    matrices = [one for one in tensors.values() if len(one.shape) in (1, 2) and one.numel]
    if len(tensors) > 8:
        return ()
    return tuple((one.numel // one.shape[-1], one.shape[-1]) for one in matrices)


@lru_cache(maxsize=64)
def _text_widths(path: Path, changed: float) -> tuple[int, ...]:
    kind: Architecture = detect(read_header(path), name=path.name)
    return text_widths(family(kind))
