"""What suits a checkpoint: the size it was trained on, and words it knows."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from easel.models import Architecture, ModelError, ModelFile, identity_of
from easel.studio.families import family

# The starter was trained on captions like these and on nothing else.
STARTER_EXAMPLES = (
    "a red circle on a blue background",
    "a large yellow star on purple",
    "two green stars on white",
    "three small orange hearts on black",
    "a small blue triangle on a green background, top left",
)
_USUAL_SIDE = 512


def native_side(file: ModelFile | None) -> int:
    """The side in pixels that pictures of this checkpoint look best at."""
    kind = _architecture(file.path, file.mtime, file.name) if file else None
    return family(kind).native if kind else _USUAL_SIDE


def examples(file: ModelFile | None) -> tuple[str, ...]:
    """Prompts to try with this checkpoint; none where anything may be asked for."""
    kind = _architecture(file.path, file.mtime, file.name) if file else None
    return STARTER_EXAMPLES if kind is Architecture.STARTER else ()


@lru_cache(maxsize=256)
def _architecture(path: Path, changed: float, name: str) -> Architecture | None:
    try:
        return identity_of(path, name).architecture
    except (ModelError, OSError):
        return None
