"""What a checkpoint was loaded without, and may have by now: Stable Diffusion 3's T5."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from easel.models import CheckpointIdentity, ModelError, ModelFile, model_set
from easel.studio.engine.checkpoint import Checkpoint


def lacks_what_came(checkpoint: Checkpoint, others: Callable[[], Iterable[ModelFile]]) -> bool:
    """Whether one of the store's files is a text encoder that it does without. Looks for them only where it
    does without one."""
    if checkpoint.family.flow is None or None not in checkpoint.text_encoders:
        return False
    try:
        found = model_set(checkpoint.file, CheckpointIdentity(checkpoint.family.architecture), others())
    except (ModelError, OSError):  # loading it says what is wrong, and nobody asked for that now
        return False
    both = zip(checkpoint.text_encoders, found.text_encoders, strict=True)
    return any(module is None and part is not None for module, part in both)
