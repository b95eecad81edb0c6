"""Names of tensors in published files, and those of transformers' modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor, nn

IN_CHECKPOINT: Mapping[str, str] = {
    "clip-l": "text_encoders.clip_l.",
    "clip-g": "text_encoders.clip_g.",
    "t5-xxl": "text_encoders.t5xxl.",
    "qwen3-4b": "text_encoders.qwen3_4b.",
    "qwen3-8b": "text_encoders.qwen3_8b.",
    "qwen2.5-vl-7b": "text_encoders.qwen25_7b.",
    "mistral-small-24b": "text_encoders.mistral3_24b.",
}
"""What the names of an encoder begin with, by role, in a checkpoint that holds its encoders."""

_BEFORE = re.compile(r"^text_encoders\.\w+\.(?:transformer\.)?")


def names_in_checkpoint(role: str, names: Iterable[str]) -> list[str]:
    """The tensors of a checkpoint that belong to its encoder of this role."""
    return [name for name in names if name.startswith(IN_CHECKPOINT[role])]


def without_prefix(name: str) -> str:
    """A name as it is in a file of the encoder alone."""
    return _BEFORE.sub("", name)


def under_names(
    tensors: Mapping[str, Tensor], module: nn.Module, rename: Callable[[str], str]
) -> dict[str, Tensor]:
    """The tensors that the module has a place for, under its names."""
    places = module.state_dict().keys()
    renamed = ((rename(without_prefix(name)), tensor) for name, tensor in tensors.items())
    return {name: tensor for name, tensor in renamed if name in places}


def by_pieces(name: str, table: Mapping[str, str]) -> str:
    """llama.cpp's name of a tensor within a block ("attn_q.weight") by a table of its pieces ("attn_q")."""
    piece, dot, end = name.rpartition(".")
    return table[piece] + dot + end if piece in table else name
