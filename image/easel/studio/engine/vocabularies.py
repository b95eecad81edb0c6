"""Tokenizers that come with a model's files, as Mistral's does: the package has those of all others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from easel.models import Incomplete, ModelSet, SetPart
from easel.studio.engine.text_models.mistral3 import tokenizer_of
from easel.studio.engine.weights import Weights

_MISTRAL = "mistral-small-24b"
_TENSOR = "tekken_model"
_NAMES = ("tekken.json", "tokenizer.json")
_LARGEST = 100_000_000


def vocabularies_of(found: ModelSet) -> dict[str, Any]:
    """By the role of the text encoder that reads with it. Raises Incomplete where it is missing."""
    return {
        part.role: _mistral(part)
        for part in found.text_encoders
        if part is not None and part.role == _MISTRAL
    }


def _mistral(part: SetPart) -> Any:
    """In ComfyUI's file it is a tensor, in diffusers' folder a file of the folder beside the encoder's."""
    text = _in_tensor(part) or next(_in_files(part.path), None)
    if text is None:
        raise Incomplete(
            part.name,
            "its tokenizer is not here; take ComfyUI's file (mistral_3_small_flux2_fp8.safetensors), which "
            f"has it inside, or put Mistral's tekken.json beside {part.path.name}",
        )
    try:
        return tokenizer_of(text)
    except ValueError as error:
        raise Incomplete(part.name, str(error)) from None


def _in_tensor(part: SetPart) -> bytes | None:
    name = part.prefix + _TENSOR
    for piece in part.pieces:
        if name in piece.header.tensors and piece.header.tensors[name].nbytes <= _LARGEST:
            with Weights(piece.path, piece.header) as weights:
                read = weights.read([name], device=torch.device("cpu"), dtype=torch.uint8, keep=[name])
            return bytes(read[name].numpy())
    return None


def _in_files(path: Path) -> Iterator[bytes]:
    for folder in (path.parent, path.parent.parent / "tokenizer"):
        for name in _NAMES:
            file = folder / name
            if file.is_file() and file.stat().st_size <= _LARGEST:
                yield file.read_bytes()
