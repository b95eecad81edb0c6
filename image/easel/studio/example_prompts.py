"""Prompts that the page offers for a checkpoint: words that it knows."""

from __future__ import annotations

from easel.models import Architecture, ModelFile
from easel.studio.checkpoint_defaults import architecture

# The starter was trained on captions like these and on nothing else.
STARTER_EXAMPLES = (
    "a red circle on a blue background",
    "a large yellow star on purple",
    "two green stars on white",
    "three small orange hearts on black",
    "a small blue triangle on a green background, top left",
)


def examples(file: ModelFile | None) -> tuple[str, ...]:
    """Prompts to try with this checkpoint; none where anything may be asked for."""
    return STARTER_EXAMPLES if architecture(file) is Architecture.STARTER else ()
