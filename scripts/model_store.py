"""This machine's store of models, for commands that look into it and bring models in."""

import os
from typing import TYPE_CHECKING

from scripts.settings import CommandRefused, settings

if TYPE_CHECKING:
    from easel.models import Kind, Store

TYPES = (
    "checkpoint", "lora", "vae", "embedding", "upscaler", "controlnet", "image_encoder", "face_restorer",
    "text_encoder",
)  # fmt: skip
"""The kinds of models that people bring in, by the names of `Kind` in small letters."""


def kind_of(name: str | None) -> "Kind | None":
    """The kind of a type as people call it."""
    from easel.models import Kind

    return None if name is None else Kind[name.upper()]


def store() -> "Store":
    """The store below EASEL_HOME. What comes into it is for its owner alone, as all there."""
    from easel.models import Store

    os.umask(0o077)
    return Store(settings().home / "models", hashing=False)


def quota() -> int | None:
    """Bytes that the team's models may take: EASEL_QUOTA, else the stack file's; None for any number."""
    from easel.models import quota_of
    from scripts.stacks.loading import spec_at

    said = quota_of(os.environ)
    if said is not None:
        return said
    try:
        return spec_at(settings().stack).team.storage.quota
    except CommandRefused:
        return None  # whoever adds a model needs no stack file, nor one without faults
