"""A checkpoint of a published model's shape whose weights are made up, to measure with."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

# Of SD 1.5 in half precision.
FULL = 2.1e9
# Numbers of a spread that keeps what they draw finite in half precision, 8 MB of them over and over.
_BLOCK, _SPREAD = 1 << 22, 0.05


def written(folder: Path, family: Any) -> Path:
    """One of this family's configuration in half precision, in the layout it is published in."""
    import torch

    from tests.models.files import describe, raw
    from tests.studio.engine import export
    from tests.studio.engine.tiny import build

    with torch.device("meta"):
        tensors = export.checkpoint(build(family), export.Layout(position_ids=False))
    path = folder / "bench.safetensors"
    raw(path, describe({name: tuple(one.shape) for name, one in tensors.items()}))
    left = sum(one.numel() for one in tensors.values()) * 2
    block = (torch.arange(_BLOCK) % 251).div(251).sub(0.5).mul(_SPREAD).half().numpy().tobytes()
    with path.open("ab") as out:
        while left:
            left -= out.write(block[:left])
    return path


def of_size(folder: Path, size: float) -> tuple[Any, Path]:
    """One of SD 1.5's shape of about so many bytes, by narrower layers, and its family."""
    from easel.models import Architecture
    from easel.studio.families import family, read_family
    from tests.studio.engine.tiny import shrink

    chosen = family(Architecture.SD1)
    if size < FULL * 0.9:
        here = folder / "family"
        shrink(Architecture.SD1, here)
        width = max(32, round(320 * math.sqrt(size / FULL) / 32) * 32)
        config = here / "unet" / "config.json"
        widths = {"block_out_channels": [width, 2 * width, 4 * width, 4 * width], "attention_head_dim": 4}
        config.write_text(json.dumps({**json.loads(config.read_text()), **widths}))
        chosen = read_family(here, Architecture.SD1)
    return chosen, written(folder, chosen)
