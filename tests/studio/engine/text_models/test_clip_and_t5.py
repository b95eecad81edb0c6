"""SD3, Flux.1 and Chroma read a text as diffusers' pipelines do, and weigh its words as Forge does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.pipelines.chroma.pipeline_chroma import ChromaPipeline
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline

from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.text_models import clip, t5
from easel.studio.engine.text_models.encoding import encode_texts
from easel.studio.engine.text_models.tokenizer import load_tokenizer
from tests.studio.engine.text_models.tiny_encoders import (
    T5_WIDTH,
    projected_by_one,
    reading,
    t5_tokenizer,
    tiny_encoder,
)

TEXTS = ["", "a red cat, sitting!", "Ünïcode  ünd 猫\nnew line", "a long one, " * 120]
ROLES = ("clip-l", "clip-g", "t5-xxl")


@pytest.fixture(scope="module")
def encoders() -> dict[str, Any]:
    return {role: tiny_encoder(role) for role in ROLES}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return t5_tokenizer(tmp_path_factory.mktemp("t5"))


def same(found: torch.Tensor | None, wanted: torch.Tensor) -> None:
    assert found is not None
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("with_t5", [True, False])
@pytest.mark.parametrize("text", TEXTS)
def test_stable_diffusion_3(text: str, with_t5: bool, encoders: dict[str, Any], tokenizer: Any) -> None:
    """CLIP's two side by side and T5 behind them; zeros for a T5 that is not there, and a note."""
    pipeline = StableDiffusion3Pipeline(
        transformer=None,
        scheduler=None,
        vae=None,
        text_encoder=projected_by_one(encoders["clip-l"]),
        tokenizer=load_tokenizer("<|endoftext|>"),
        text_encoder_2=encoders["clip-g"],
        tokenizer_2=load_tokenizer("!"),
        text_encoder_3=encoders["t5-xxl"],
        tokenizer_3=tokenizer,
    )
    with torch.inference_mode():
        tokens, _, pooled, _ = pipeline.encode_prompt(
            text, None, None, device="cpu", do_classifier_free_guidance=False, max_sequence_length=256
        )
    given = encoders if with_t5 else {**encoders, "t5-xxl": None}
    (found,) = encode_texts("sd35-large", [text], reading(given, 256))
    same(found.tokens[:, :77], tokens[:, :77])
    same(found.tokens[:, 77:], tokens[:, 77:] if with_t5 else torch.zeros(1, 256, T5_WIDTH))
    same(found.pooled, pooled)
    assert found.mask is None
    said = [note.code for note in found.notes]
    assert said == ["text_cut"] * (len(text) > 1000) + (
        ["text_cut"] * (len(text) > 1000) if with_t5 else ["no_t5"]
    )


@pytest.mark.parametrize("text", TEXTS)
def test_flux(text: str, encoders: dict[str, Any], tokenizer: Any) -> None:
    """T5's 512 tokens, and CLIP's pooled vector."""
    pipeline = FluxPipeline(
        scheduler=None,
        vae=None,
        transformer=None,
        text_encoder=encoders["clip-l"],
        tokenizer=load_tokenizer("<|endoftext|>"),
        text_encoder_2=encoders["t5-xxl"],
        tokenizer_2=tokenizer,
    )
    with torch.inference_mode():
        tokens, pooled, _ = pipeline.encode_prompt(text, None, device="cpu")
    (found,) = encode_texts("flux-dev", [text], reading(encoders, 512))
    same(found.tokens, tokens)
    same(found.pooled, pooled)
    assert found.mask is None
    assert found.tokens.shape == (1, 512, T5_WIDTH)


@pytest.mark.parametrize("text", TEXTS)
def test_chroma(text: str, encoders: dict[str, Any], tokenizer: Any) -> None:
    """T5 attends to no padding, and the transformer to one token of it."""
    pipeline = ChromaPipeline(
        scheduler=None, vae=None, transformer=None, text_encoder=encoders["t5-xxl"], tokenizer=tokenizer
    )
    with torch.inference_mode():
        tokens, _, mask, *_ = pipeline.encode_prompt(text, device="cpu", do_classifier_free_guidance=False)
    (found,) = encode_texts("chroma", [text], reading(encoders, 512))
    same(found.tokens, tokens)
    assert found.mask is not None
    assert torch.equal(found.mask, mask.bool())


def test_a_word_weighs(encoders: dict[str, Any]) -> None:
    """What T5 says of `(red:1.5)` is half as much again, and of other words the same."""
    plain, heavy, ignored = (
        encode_texts("chroma", [text], reading(encoders, 16, mode))[0].tokens[0]
        for text, mode in (
            ("the red cat", EmphasisMode.ORIGINAL),
            ("the (red:1.5) cat", EmphasisMode.ORIGINAL),
            ("the (red:1.5) cat", EmphasisMode.IGNORE),
        )
    )
    places = [float((heavy[place] / plain[place]).mean()) for place in range(16)]
    assert places == pytest.approx([1, 1.5] + [1] * 14)
    assert torch.equal(ignored, plain)


def test_clip_keeps_its_mean(encoders: dict[str, Any]) -> None:
    """As A1111's "Original" does; "No norm" multiplies alone. The pooled vector has no weights."""
    texts = ["a red cat", "a (red:1.5) cat"]
    plain, original = encode_texts("sd3", texts, reading(encoders, 16))
    (bare,) = encode_texts("sd3", texts[1:], reading(encoders, 16, EmphasisMode.NO_NORM))
    for one in (original, bare):
        assert torch.equal(one.pooled, plain.pooled)
    half = slice(0, 16)
    states = [one.tokens[0, :77, half] for one in (plain, original, bare)]
    assert torch.equal(states[2][2], states[0][2] * 1.5)
    assert torch.equal(states[2][3], states[0][3])
    assert float(states[1].mean()) == pytest.approx(float(states[0].mean()), rel=1e-4)
    assert not torch.equal(states[1][3], states[0][3])


def test_each_text_is_as_alone(encoders: dict[str, Any]) -> None:
    """Company changes no bit."""
    together = encode_texts("sd3", TEXTS, reading(encoders, 64))
    for text, one in zip(TEXTS, together, strict=True):
        (alone,) = encode_texts("sd3", [text], reading(encoders, 64))
        assert torch.equal(one.tokens, alone.tokens)


def test_what_is_left_out_is_said(encoders: dict[str, Any]) -> None:
    """How much of a long text an encoder reads, in tokens."""
    (found,) = encode_texts("chroma", ["cat " * 40], reading(encoders, 16))
    (note,) = found.notes
    assert note == "T5 reads 15 tokens of a text; the last 25 of 40 were left out."
    assert note.about == "prompt"
    assert (t5.END, clip.LENGTH) == (1, 77)
