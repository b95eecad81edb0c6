"""GGUF files name tensors as llama.cpp does; its own package is the judge."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from easel.studio.engine.text_models.table import text_model
from tests.studio.engine.text_models.tiny_encoders import answer, filled, narrow, tiny_encoder

gguf = pytest.importorskip("gguf")
ARCHITECTURES = {
    "t5-xxl": "T5ENCODER",
    "qwen3-4b": "QWEN3",
    "qwen2.5-vl-7b": "QWEN2VL",
    "mistral-small-24b": "LLAMA",
}


def published(role: str, module: Any) -> dict[str, torch.Tensor]:
    """By llama.cpp's table of names."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[ARCHITECTURES[role]], 40)
    found = {}
    for name, tensor in module.state_dict().items():
        if name == "encoder.embed_tokens.weight":  # it stands there once
            continue
        whole = name if role == "t5-xxl" else f"model.{name}"
        known = names.get_name(whole, try_suffixes=(".weight", ".bias"))
        assert known, name
        found[known] = turned(tensor, role, name)
    return found


def turned(tensor: torch.Tensor, role: str, name: str) -> torch.Tensor:
    """For models that are llama there, rows of queries and keys are in pairs (`LlamaModel.permute`)."""
    heads = {"q_proj.weight": 2, "k_proj.weight": 1}.get(".".join(name.split(".")[-2:]))
    if role != "mistral-small-24b" or heads is None:
        return tensor
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return halves.swapaxes(1, 2).reshape(tensor.shape)


@pytest.mark.parametrize("role", ARCHITECTURES)
def test_llama_cpps_names(role: str) -> None:
    """The same answers as under the module's own names."""
    encoder = tiny_encoder(role)
    again = filled(role, text_model("", role).skeleton(narrow(role)), published(role, encoder))
    assert torch.equal(answer(role, encoder), answer(role, again))
