"""Seeds that stay while a script changes other things."""

from __future__ import annotations

import random

from easel.studio.api.drawing_request import AnyRequest
from easel.studio.api.scripts.plot_axes import RANDOM_SEEDS


def random_seed() -> int:
    """A seed in the range that A1111 draws from."""
    return random.randrange(RANDOM_SEEDS)  # noqa: S311 - seeds are published with every picture


def with_fixed_seeds(asked: AnyRequest) -> AnyRequest:
    """The request with a seed drawn in the place of each -1."""
    return asked.model_copy(
        update={name: random_seed() for name in ("seed", "subseed") if getattr(asked, name) == -1}
    )
