"""What the team's models may take, for commands that bring models in."""

import os

from scripts.settings import Refusal, settings


def quota() -> int | None:
    """Bytes, as EASEL_QUOTA says, else the stack file; None for any number."""
    from easel.models import quota_of
    from scripts.stack import spec_of

    said = quota_of(os.environ)
    if said is not None:
        return said
    try:
        return spec_of(settings()).team.storage.quota
    except Refusal:
        return None  # whoever adds a model needs no stack file, nor one without faults
