"""Pictures whose edges meet: while one is drawn, convolutions look around the edges (A1111's `tiling`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def edges_meet(module: Any, tiling: bool) -> Iterator[None]:
    """Within this, the module's convolutions pad with what is on the other side, if `tiling`."""
    convolutions = [one for one in module.modules() if isinstance(one, nn.Conv2d)] if tiling else []
    before = [one.padding_mode for one in convolutions]
    for one in convolutions:
        one.padding_mode = "circular"
    try:
        yield
    finally:
        for one, mode in zip(convolutions, before, strict=True):
            one.padding_mode = mode
