"""This machine's store of models, for commands that look into it and bring models in."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from scripts.settings import CommandRefused, settings

if TYPE_CHECKING:
    from easel.models import Kind, Store

TYPES: Mapping[str, str] = {
    "checkpoint": "CHECKPOINT",
    "lora": "LORA",
    "vae": "VAE",
    "embedding": "EMBEDDING",
    "upscaler": "UPSCALER",
    "controlnet": "CONTROLNET",
}
"""What people call the kinds, and the names of `Kind`."""


def kind_of(name: str | None) -> "Kind | None":
    """The kind of a type as people call it."""
    from easel.models import Kind

    return None if name is None else Kind[TYPES[name]]


def store() -> "Store":
    """The store below EASEL_HOME. What comes into it is for its owner alone, as all there."""
    from easel.models import Store

    os.umask(0o077)
    return Store(settings().home / "models", hashing=False)


def quota() -> int | None:
    """Bytes that the team's models may take: EASEL_QUOTA, else the stack file's; None for any number."""
    from easel.models import quota_of
    from scripts.stacks.loading import spec_of

    said = quota_of(os.environ)
    if said is not None:
        return said
    try:
        return spec_of(settings()).team.storage.quota
    except CommandRefused:
        return None  # whoever adds a model needs no stack file, nor one without faults
