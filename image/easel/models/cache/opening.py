"""A model file opened the best way there is."""

from __future__ import annotations

from pathlib import Path

from easel.models.cache.cache import Cache
from easel.models.cache.reader import FileReader, Reader


def open_model(path: Path, cache: Cache | None = None) -> Reader:
    """Open the file at `path`; one on network storage by way of `cache`. Raises MissingFile."""
    origin = FileReader(path)
    return cache.reader(origin) if cache is not None and origin.far else origin
