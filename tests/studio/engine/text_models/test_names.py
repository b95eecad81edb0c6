"""Encoders are filled from every file that people have of them, and answer the same from each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from easel.studio.engine.tensors.conversion import Traced
from easel.studio.engine.text_models.buffers import restore_buffers
from easel.studio.engine.text_models.names import IN_CHECKPOINT, names_in_checkpoint
from easel.studio.engine.text_models.table import text_model
from tests.studio.engine import export
from tests.studio.engine.text_models.tiny_encoders import CPU, answer, filled, narrow, tiny_encoder

Tensors = Mapping[str, torch.Tensor]
Publish = Callable[[Any], Tensors]


def transformers_own(module: Any) -> Tensors:
    """As the publisher's folder names them."""
    return dict(module.state_dict())


def before(prefix: str) -> Publish:
    return lambda module: {prefix + name: tensor for name, tensor in module.state_dict().items()}


def t5_of_comfyui(module: Any) -> Tensors:
    """With the vectors of words once, under one of two names."""
    found = dict(module.state_dict())
    del found["encoder.embed_tokens.weight"]
    return found


def t5_as_some_save_it(module: Any) -> Tensors:
    found = dict(module.state_dict())
    del found["shared.weight"]
    return found


def open_clip(module: Any) -> Tensors:
    return export.open_clip(module, export.Layout(), xl=True)


WAYS: dict[str, list[Publish]] = {
    "clip-l": [
        transformers_own,
        before("text_model."),
        before("text_encoders.clip_l.transformer.text_model."),
    ],
    "clip-g": [transformers_own, before("text_encoders.clip_g.transformer."), open_clip],
    **{
        role: [transformers_own, *map(before, prefixes)]
        for role, prefixes in {
            "qwen3-4b": ("model.", "text_encoders.qwen3_4b.transformer.model."),
            "qwen2.5-vl-7b": ("model.", "model.language_model."),
            "mistral-small-24b": ("model.", "language_model.model.", "model.language_model."),
        }.items()
    },
    "t5-xxl": [
        transformers_own,
        t5_of_comfyui,
        t5_as_some_save_it,
        before("text_encoders.t5xxl.transformer."),
    ],
}


@pytest.mark.parametrize(
    ("role", "way"), [(role, way) for role, ways in WAYS.items() for way in range(len(ways))]
)
def test_every_layout(role: str, way: int) -> None:
    """The tensors of a file, and beside them some that belong to nothing."""
    encoder = tiny_encoder(role)
    tensors = {**WAYS[role][way](encoder), "logit_scale": torch.ones(()), "spiece_model": torch.ones(3)}
    tensors |= {"lm_head.weight": torch.ones(1), "visual.merger.mlp.0.weight": torch.ones(1)}
    again = filled(role, text_model("", role).skeleton(narrow(role)), tensors)
    assert torch.equal(answer(role, encoder), answer(role, again))


@pytest.mark.parametrize("role", WAYS)
def test_a_file_is_understood_by_its_header(role: str) -> None:
    """Without its weights: each tensor of the module is traced to those of the file that it is made of."""
    module = text_model("", role).skeleton(narrow(role))
    for way in WAYS[role]:
        shapes = {name: tuple(one.shape) for name, one in way(tiny_encoder(role)).items()}
        traced = {name: Traced.of(name, shape) for name, shape in shapes.items()}
        found = text_model("", role).convert(traced, module)
        wanted = {name: one.shape for name, one in module.state_dict().items()}
        assert {name: one.shape for name, one in found.items()} == wanted
        assert all(found[name].names <= shapes.keys() and found[name].names for name in wanted)


def test_an_encoder_is_found_in_a_checkpoint() -> None:
    """By what its names begin with."""
    names = [f"{prefix}x" for prefix in IN_CHECKPOINT.values()]
    for role, prefix in IN_CHECKPOINT.items():
        assert names_in_checkpoint(role, [*names, "model.diffusion_model.x"]) == [prefix + "x"]


def test_words_are_in_memory_once() -> None:
    """T5's vectors of words are one parameter, by whichever name they are asked for."""
    encoder = tiny_encoder("t5-xxl")
    assert encoder.shared.weight is encoder.encoder.embed_tokens.weight


def test_a_buffer_nobody_knows_is_an_error() -> None:
    """It would be noise."""
    module = torch.nn.Module()
    module.register_buffer("table", torch.empty(1, device="meta"))
    with pytest.raises(RuntimeError, match="table has no value"):
        restore_buffers(module, CPU)
