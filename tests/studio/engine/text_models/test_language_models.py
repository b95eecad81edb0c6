"""Z-Image, FLUX.2 and Qwen-Image read a text as diffusers' pipelines do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline
from diffusers.pipelines.qwenimage.pipeline_qwenimage import QwenImagePipeline
from diffusers.pipelines.z_image.pipeline_z_image import ZImagePipeline
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen3.configuration_qwen3 import Qwen3Config
from transformers.models.qwen3.modeling_qwen3 import Qwen3ForCausalLM, Qwen3Model

from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.text_models import vocabularies
from easel.studio.engine.text_models.encoding import encode_texts
from easel.studio.engine.text_models.table import text_model
from tests.studio.engine.text_models.tiny_encoders import (
    filled,
    narrow,
    qwen25_vl_with_tiny_sight,
    qwen_tokenizer,
    reading,
)

TEXTS = ["", "a red cat, sitting!", "Ünïcode  ünd 猫 12345\n\nnew line <think> it's", "a long one, " * 200]


def same(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


def whole(kind: Any, config: Any) -> Any:
    """A whole model as published, with random weights that do not grow from layer to layer."""
    torch.manual_seed(0)
    return kind(config).eval().requires_grad_(False)


def read_by(role: str, family: str, published: Any) -> Any:
    """The engine's, filled from the published one's tensors."""
    module = text_model(family, role).skeleton(narrow(role))
    return filled(role, module, dict(published.state_dict()), family)


@pytest.fixture(scope="module")
def qwen3() -> Any:
    return qwen_tokenizer(vocabularies.qwen3())


@pytest.fixture(scope="module")
def qwen25() -> Any:
    return qwen_tokenizer(vocabularies.qwen25())


def test_z_image(qwen3: Any) -> None:
    """The layer before last, without its padding."""
    published = whole(Qwen3Model, Qwen3Config.from_dict(narrow("qwen3-4b")))
    pipeline = ZImagePipeline(
        scheduler=None, vae=None, text_encoder=published, tokenizer=qwen3, transformer=None
    )
    mine = read_by("qwen3-4b", "z-image", published)
    assert len(mine.layers) == 29
    for text in TEXTS:
        with torch.inference_mode():
            (wanted,), _ = pipeline.encode_prompt(text, "cpu", do_classifier_free_guidance=False)
        (found,) = encode_texts("z-image", [text], reading({"qwen3-4b": mine}, 512))
        same(found.tokens[0], wanted)
        assert found.mask is not None
        assert bool(found.mask.all())
        assert [note.code for note in found.notes] == ["text_cut"] * (len(text) > 1000)


@pytest.mark.parametrize("size", ["4b", "8b"])
def test_flux2_klein(size: str, qwen3: Any) -> None:
    """Three layers side by side, with the padding."""
    role, family = f"qwen3-{size}", "flux2-klein-4b" if size == "4b" else "flux2-klein-9b"
    published = whole(Qwen3ForCausalLM, Qwen3Config.from_dict(narrow(role)))
    pipeline = Flux2KleinPipeline(
        scheduler=None, vae=None, text_encoder=published, tokenizer=qwen3, transformer=None
    )
    mine = read_by(role, family, published)
    assert len(mine.layers) == 27
    for text in TEXTS:
        with torch.inference_mode():
            wanted, _ = pipeline.encode_prompt(text, "cpu")
        (found,) = encode_texts(family, [text], reading({role: mine}, 512))
        same(found.tokens, wanted)
        assert found.mask is None


def test_qwen_image(qwen25: Any) -> None:
    """The last layer behind its norm, without what stands before the words."""
    published = whole(
        Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLConfig.from_dict(qwen25_vl_with_tiny_sight())
    )
    pipeline = QwenImagePipeline(
        scheduler=None, vae=None, text_encoder=published, tokenizer=qwen25, transformer=None
    )
    mine = read_by("qwen2.5-vl-7b", "qwen-image", published)
    for text in TEXTS:
        with torch.inference_mode():
            wanted, mask = pipeline.encode_prompt(text, "cpu", max_sequence_length=512)
        (found,) = encode_texts("qwen-image", [text], reading({"qwen2.5-vl-7b": mine}, 512))
        same(found.tokens, wanted)
        assert mask is None
        assert found.mask is not None
        assert bool(found.mask.all())


def test_brackets_are_taken_off(qwen3: Any) -> None:
    """A language model reads words; that weights meant nothing is said. In no mode are they letters to it,
    except where the option says that brackets are letters."""
    published = whole(Qwen3Model, Qwen3Config.from_dict({**narrow("qwen3-4b"), "num_hidden_layers": 2}))
    module = text_model("z-image", "qwen3-4b").skeleton({**narrow("qwen3-4b"), "num_hidden_layers": 2})
    encoders = {"qwen3-4b": filled("qwen3-4b", module, dict(published.state_dict()), "z-image")}
    plain, weighed = encode_texts("z-image", ["a red cat", "a (red:1.3) [cat]"], reading(encoders, 512))
    assert torch.equal(plain.tokens, weighed.tokens)
    assert [note.code for note in weighed.notes] == ["weights_unread"]
    assert not plain.notes
    (letters,) = encode_texts("z-image", ["(red:1.3)"], reading(encoders, 512, EmphasisMode.NONE))
    assert letters.tokens.shape[1] > plain.tokens.shape[1]
    assert not letters.notes
