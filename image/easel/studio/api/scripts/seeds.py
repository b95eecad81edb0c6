"""Seeds that stay while a script changes other things."""

from __future__ import annotations

from easel.studio.api.requests.drawing_request import AnyRequest
from easel.studio.engine import random_seed


def with_fixed_seeds(asked: AnyRequest) -> AnyRequest:
    """The request with a seed drawn in the place of each -1."""
    drawn = {name: random_seed() for name in ("seed", "subseed") if getattr(asked, name) == -1}
    return asked.model_copy(update=drawn)
