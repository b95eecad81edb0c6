"""From the names of a published single file to those of diffusers' modules, by a table for each family.

diffusers has converters of its own (`diffusers.loaders.single_file_utils`), and the tests hold these tables
against them, tensor by tensor. They are not used because they cut Flux and Chroma at a width of 3072, so that
no smaller network goes through, and copy each piece: here a piece is a view, and a file that is mapped into
memory stays where it is. LoRA files use the same names, and so the same tables.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import torch

NameTable = Mapping[str, tuple[str, ...]]
"""A published module, and the modules that its rows are, from the top; `#` stands for a block's number."""

CHECKPOINT_PREFIX = "model.diffusion_model."
_NUMBER = re.compile(r"\.(\d+)(?=\.|$)")
# Norms that the publishers wrote themselves call their weight otherwise.
_LEAVES = {"scale": "weight"}


def modules_of(published: str, table: NameTable) -> tuple[str, ...]:
    """The modules that the rows of this published module are; none where the table does not know it."""
    if published in table:
        return table[published]
    number = _NUMBER.search(published)
    if number is None:
        return ()
    rows = table.get(published[: number.start(1)] + "#" + published[number.end(1) :], ())
    return tuple(row.replace("#", number.group(1)) for row in rows)


def to_modules(
    tensors: Mapping[str, torch.Tensor], network: Any, table: NameTable, swapped: Collection[str] = ()
) -> dict[str, torch.Tensor]:
    """A file's tensors under the network's names, with or without the checkpoint's prefix. What the table
    does not know keeps its name: that is all of a file in diffusers' layout.

    `swapped` are modules of which the two halves changed places: diffusers' `AdaLayerNormContinuous` has the
    scale first, the publishers have the shift. Raises RuntimeError for a tensor that cannot be cut as its
    modules need it.
    """
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    found: dict[str, torch.Tensor] = {}
    for whole, tensor in tensors.items():
        name = whole.removeprefix(CHECKPOINT_PREFIX)
        module, _, leaf = name.rpartition(".")
        names = [f"{one}.{_LEAVES.get(leaf, leaf)}" for one in modules_of(module, table)]
        if not names or any(one not in shapes for one in names):
            found[name] = tensor
        elif len(names) > 1:
            pieces = torch.split(tensor, [shapes[one][0] for one in names])
            found |= dict(zip(names, pieces, strict=True))
        elif names[0].rpartition(".")[0] in swapped:
            found[names[0]] = torch.cat(tensor.chunk(2)[::-1])
        else:
            found[names[0]] = tensor
    return found
