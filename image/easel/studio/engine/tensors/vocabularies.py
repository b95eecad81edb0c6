"""Tokenizers that come with a model's files, as Mistral's does: the package has those of all others."""

from __future__ import annotations

from typing import Any

import torch

from easel.models import Incomplete, ModelSet, SetPart
from easel.studio.engine.tensors.weights import Weights
from easel.studio.engine.text_models.mistral3 import tokenizer_beside

_MISTRAL = "mistral-small-24b"
_TENSOR = "tekken_model"


def vocabularies_of(found: ModelSet) -> dict[str, Any]:
    """By the role of the text encoder that reads with it. Raises Incomplete where it is missing."""
    return {
        part.role: _mistral(part)
        for part in found.text_encoders
        if part is not None and part.role == _MISTRAL
    }


def _mistral(part: SetPart) -> Any:
    try:
        return tokenizer_beside(part.path, _in_tensor(part))
    except ValueError as error:
        raise Incomplete(part.name, str(error)) from None


def _in_tensor(part: SetPart) -> torch.Tensor | None:
    name = part.prefix + _TENSOR
    for piece in part.pieces:
        if name in piece.header.tensors:
            with Weights(piece.path, piece.header) as weights:
                return weights.read([name], device=torch.device("cpu"), dtype=torch.uint8, keep=[name])[name]
    return None
