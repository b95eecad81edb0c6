"""transformers' models, filled from files in the names that transformers published them in.

Its modules are called otherwise from one release to the next; it knows the published names in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor


def layers(names: Iterable[str], start: str) -> int:
    """How many blocks have tensors, whose names are `start`, the block's number, and more."""
    return len({name.removeprefix(start).split(".")[0] for name in names if name.startswith(start)})


def block_names(block: str) -> tuple[tuple[str, str], ...]:
    """Names within a transformer's block as timm has them, and transformers' for the same: patterns, and what
    takes their place. `block` is a pattern of what stands before them, whose first group is the block."""
    return (
        (block + r"norm1\.", r"\1.layernorm_before."),
        (block + r"norm2\.", r"\1.layernorm_after."),
        (block + r"mlp\.fc1\.", r"\1.intermediate.dense."),
        (block + r"mlp\.fc2\.", r"\1.output.dense."),
        (block + r"attn\.proj\.", r"\1.attention.output.dense."),
    )


def filled(kind: Any, config: Any, tensors: Mapping[str, Tensor]) -> Any:
    """A model of the class `kind` with all of these tensors. Raises ValueError where some are missing or are
    none of its own."""
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model, told = kind.from_pretrained(
            None, config=config, state_dict=dict(tensors), output_loading_info=True
        )
    finally:
        if bars:
            logging.enable_progress_bar()
    for what, names in (("missing", told["missing_keys"]), ("not known", told["unexpected_keys"])):
        if names:
            raise ValueError(f"{min(names)} is {what}")
    if told["mismatched_keys"]:
        raise ValueError(f"{min(map(str, told['mismatched_keys']))} has another shape")
    return model
