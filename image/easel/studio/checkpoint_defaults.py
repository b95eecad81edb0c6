"""What suits a checkpoint: what a request that does not say is drawn with.

A1111's API has fixed defaults (512 by 512, Euler, 50 steps), which are right for one family of models. Here
they are the family's own, for transformers those of their publishers; what A1111 says stays where nothing
speaks against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from easel.models import Architecture, ModelError, ModelFile, identity_of
from easel.studio.families import Family, family


@dataclass(frozen=True)
class CheckpointDefaults:
    """What a request is drawn with where it says nothing. `side` is in pixels, for width and height each;
    both are multiples of `multiple`. `distilled_guidance` is None where the checkpoint takes none.
    `denoising_strength` is of a picture drawn over another: all of it, where the checkpoint looks at that."""

    side: int = 512
    sampler: str = "Euler"
    steps: int = 50
    cfg_scale: float = 7.0
    multiple: int = 8
    distilled_guidance: float | None = None
    denoising_strength: float = 0.75


# The starter is sharp after twenty steps (tests/starter), and is what people wait for first.
_OWN = {Architecture.STARTER: CheckpointDefaults(sampler="Euler a", steps=20)}


def checkpoint_defaults(file: ModelFile | None) -> CheckpointDefaults:
    """What suits `file`; A1111's defaults where it is not known what it is."""
    kind = architecture(file)
    if kind is None:
        return CheckpointDefaults()
    found = family(kind)
    if (flow := found.flow) is not None:
        return CheckpointDefaults(
            flow.native, flow.sampler, flow.steps, flow.cfg_scale, flow.multiple, flow.distilled_guidance,
            1.0 if flow.edits else CheckpointDefaults.denoising_strength,
        )  # fmt: skip
    said = _OWN.get(kind, CheckpointDefaults())
    return CheckpointDefaults(found.native, said.sampler, said.steps, said.cfg_scale)


def known_family(file: ModelFile) -> Family | None:
    """The family of a checkpoint, told from its header; None if it cannot be read, which loading it says."""
    kind = architecture(file)
    return None if kind is None else family(kind)


def predicts_flow(file: ModelFile | None) -> bool:
    """Whether a checkpoint is a transformer that predicts a flow, which has schedules and samplers its own
    way; not where it cannot be read."""
    kind = architecture(file)
    return kind is not None and bool(kind.flow)


def architecture(file: ModelFile | None) -> Architecture | None:
    """The family of a checkpoint, told from its header; None if it is none or cannot be read."""
    return _architecture(file.path, file.mtime, file.name) if file else None


@lru_cache(maxsize=256)
def _architecture(path: Path, changed: float, name: str) -> Architecture | None:
    try:
        return identity_of(path, name).architecture
    except (ModelError, OSError):
        return None
