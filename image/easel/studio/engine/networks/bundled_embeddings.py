"""Embeddings that OneTrainer and others put beside a network's matrices: `bundle_emb.name.clip_l`.

Whoever draws with the network may name them in the prompt, as in A1111 since 1.7. Light: imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from easel.models import FileError, Header, ModelFile, read_header

BUNDLED = "bundle_emb."


def bundled_names(tensors: Iterable[str]) -> tuple[str, ...]:
    """Those among a file's tensors, by name."""
    return tuple(dict.fromkeys(one.split(".")[1] for one in tensors if one.startswith(BUNDLED)))


@lru_cache(256)
def bundled_in(file: ModelFile) -> tuple[str, ...]:
    """The names of those in a file; none where it cannot be read, which loading the network tells."""
    try:
        return bundled_names(read_header(file.path).tensors)
    except FileError:
        return ()


def place_of(name: str) -> str:
    """What the names of an embedding's tensors begin with."""
    return f"{BUNDLED}{name}."


def part_for(header: Header, name: str) -> Header:
    """The header as it would be, were this embedding a file of its own."""
    begin = place_of(name)
    own = {key.removeprefix(begin): info for key, info in header.tensors.items() if key.startswith(begin)}
    return replace(header, tensors=own)
