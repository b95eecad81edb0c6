"""Parts of model files, loaded as checkpoints load them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from easel.models import Piece, open_model, read_header
from easel.studio.engine.checkpoints.checkpoint_parts import CheckpointPart
from easel.studio.engine.checkpoints.skeleton import nbytes
from easel.studio.engine.quantised.packed_linear import PackedLinear
from easel.studio.engine.quantised.packed_weight import PackedWeight

CPU = torch.device("cpu")


def judged(path: Path, name: str, columns: int, rows: int) -> CheckpointPart:
    """One linear layer of a judge's file, which holds beside it what it means, `expanded.NAME`."""
    with torch.device("meta"):
        module = nn.ModuleDict({name: nn.Linear(columns, rows, bias=False)})
    header = read_header(path)
    names = [one for one in header.tensors if one != f"expanded.{name}"]
    return CheckpointPart(
        "transformer", module, path.name, ((Piece(path, header), names),), lambda tensors, _: dict(tensors)
    )


def loaded(part: CheckpointPart, path: Path, dtype: torch.dtype) -> Any:
    part.check()
    size = nbytes(part.module, dtype)
    reader = open_model(path)
    try:
        part.load({path: reader}, CPU, dtype, lambda _: None)
    finally:
        reader.close(whole=False)
    # what was planned before anything was read is what it takes
    assert sum(one.nbytes for one in part.module.parameters()) == size
    return part.module


def numbers(module: nn.Module) -> dict[str, torch.Tensor]:
    """What the module's weights mean."""
    return {
        name: one.expanded() if isinstance(one, PackedWeight) else one
        for name, one in module.state_dict().items()
    }


def packed(module: nn.Module) -> set[str]:
    return {name for name, layer in module.named_modules() if isinstance(layer, PackedLinear)}
