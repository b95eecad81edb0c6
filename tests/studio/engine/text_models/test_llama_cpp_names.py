"""GGUF files name tensors as llama.cpp does; its own package is the judge."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from easel.studio.engine.text_models.table import text_model
from tests.studio.engine.text_models.tiny_encoders import answer, filled, narrow, tiny_encoder

gguf = pytest.importorskip("gguf")
ARCHITECTURES = {"t5-xxl": "T5ENCODER"}


def published(role: str, module: Any) -> dict[str, torch.Tensor]:
    """By llama.cpp's table of names."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[ARCHITECTURES[role]], 3)
    found = {}
    for name, tensor in module.state_dict().items():
        if name == "encoder.embed_tokens.weight":  # it stands there once
            continue
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert known, name
        found[known] = tensor
    return found


@pytest.mark.parametrize("role", ARCHITECTURES)
def test_llama_cpps_names(role: str) -> None:
    """The same answers as under the module's own names."""
    encoder = tiny_encoder(role)
    again = filled(role, text_model("", role).skeleton(narrow(role)), published(role, encoder))
    assert torch.equal(answer(role, encoder), answer(role, again))
