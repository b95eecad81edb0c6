"""How many of torch's threads a call on a CPU has: one where it is so small that they mostly wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Latent pixels of all rows of a call. Six pictures of 128 pixels one after another took 1.60 s on one thread
# and 1.75 s on two that spin; at 256 pixels 2.3 s against 1.8 s (docs/performance.md).
SMALL = 1024


@contextmanager
def threads_for(device: torch.device, work: int) -> Iterator[None]:
    """Within it a call of this much work has its threads; behind it there are as many as before."""
    before = torch.get_num_threads()
    if device.type != "cpu" or work > SMALL or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
