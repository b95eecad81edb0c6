"""What a picture attends to, call by call. The judges are transformers and a UNet of its own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.models import Architecture
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.texts.conditioning import PromptEncoder
from easel.studio.engine.texts.text_encoding import HowToEncode
from easel.studio.engine.texts.token_chunks import TokenChunks
from tests.studio.engine.networks.test_lora import checkpoint
from tests.studio.engine.tiny import tiny


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    whole = checkpoint(tiny(Architecture.SD1, tmp_path_factory.mktemp("sd1")))
    encoder = whole.text_encoders[0]
    # a fresh norm leaves a mean of nothing, which nobody could restore
    torch.nn.init.constant_(getattr(encoder, "text_model", encoder).final_layer_norm.bias, 0.3)
    return whole


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return checkpoint(tiny(Architecture.SDXL, tmp_path_factory.mktemp("sdxl")))


def judged(whole: Checkpoint, *chunks: str) -> torch.Tensor:
    """Each chunk through transformers alone, for SD 1.x: (chunks, 77, width)."""
    ids = whole.tokenizers[0](
        list(chunks), padding="max_length", max_length=77, return_tensors="pt"
    ).input_ids
    with torch.inference_mode():
        found: torch.Tensor = whole.text_encoders[0](ids).last_hidden_state
    return found


def weights(*numbers: float) -> torch.Tensor:
    """Weights of the tokens behind the begin of a chunk, (77, 1)."""
    found = torch.ones(77, 1)
    found[1 : 1 + len(numbers), 0] = torch.tensor(numbers)
    return found


def test_original_emphasis_keeps_the_mean_of_each_chunk(sd1: Checkpoint) -> None:
    """A weight in one chunk of 75 changes nothing in another, and its own chunk's mean is what it was."""
    found = PromptEncoder(sd1).encode("a (cat:1.5) BREAK a dog").tokens.reshape(2, 77, -1)
    first, second = judged(sd1, "a cat", "a dog")
    weighted = first * weights(1, 1.5)
    assert torch.allclose(found[0], weighted * (first.mean() / weighted.mean()), atol=1e-5)
    assert torch.allclose(found[1], second, atol=1e-5)


def test_emphasis_modes(sd1: Checkpoint) -> None:
    """ "No norm" scales alone, "Ignore" does not, and with "None" brackets are words."""
    encode = PromptEncoder(sd1)
    words = judged(sd1, "a cat", "a ( cat : 1 . 5 )")
    modes = {
        EmphasisMode.NO_NORM: words[0] * weights(1, 1.5),
        EmphasisMode.IGNORE: words[0],
        EmphasisMode.NONE: words[1],
    }
    for mode, meant in modes.items():
        found = encode.encode("a (cat:1.5)", HowToEncode(emphasis=mode)).tokens[0]
        assert torch.allclose(found, meant, atol=1e-5), mode


def test_the_texts_of_a_schedule_share_their_mean(sd1: Checkpoint) -> None:
    """A1111 encodes what a prompt is at its steps as one batch, and restores the mean of the batch."""
    guidance = PromptEncoder(sd1).schedule("[(cat:1.5):dog:1]", None, steps=3)
    cat, dog = judged(sd1, "cat", "dog")
    weighted = cat * weights(1.5)
    ratio = (cat.mean() + dog.mean()) / (weighted.mean() + dog.mean())
    assert torch.allclose(guidance.at(0).tokens[0], weighted * ratio, atol=1e-5)
    assert torch.allclose(guidance.at(2).tokens[0], dog * ratio, atol=1e-5)
    third = PromptEncoder(sd1).schedule("[(cat:1.5)|dog]", None, steps=3).at(2).tokens[0]
    ratio = (2 * cat.mean() + dog.mean()) / (2 * weighted.mean() + dog.mean())
    assert torch.allclose(third, dog * ratio, atol=1e-5)


def test_calls_change_as_the_prompt_says(sd1: Checkpoint) -> None:
    """Each call has its text; nothing is made anew while nothing changes; the shape never changes."""
    encode = PromptEncoder(sd1)
    found = encode.schedule("a [cat:dog, BREAK lake:0.5]", "[red|blue]", steps=4)
    assert found.changes
    cat = encode.schedule("a cat BREAK", "red", steps=4)
    assert not cat.changes
    assert cat.at(0) is cat.at(3)
    assert {found.at(call).tokens.shape for call in range(6)} == {torch.Size([2, 154, 32])}
    red, blue = judged(sd1, "red", "blue")
    for call, meant in enumerate((red, red, blue, red, blue, red)):
        assert torch.allclose(found.at(call).tokens[0, :77], meant, atol=1e-5), call
    cat_row, dog_row = judged(sd1, "a cat", "a dog,")
    for call, meant in enumerate((cat_row, cat_row, cat_row, dog_row, dog_row, cat_row)):
        assert torch.allclose(found.at(call).tokens[1, :77], meant, atol=1e-5), call


def test_parts_are_rows_with_weights(sdxl: Checkpoint) -> None:
    """The negative prompt's row, then one for each part; shorter parts repeat their last vector."""
    encode = PromptEncoder(sdxl)
    found = encode.schedule("a cat :1.2 AND a dog BREAK b AND c:-1", "bad", steps=5).at(0)
    assert found.weights == (1.2, 1.0, -1.0)
    assert found.tokens.shape == (4, 154, 80)
    assert found.pooled is not None
    for row, text in enumerate(("bad", "a cat", "a dog BREAK b", "c")):
        alone = encode.encode(text)
        assert alone.pooled is not None
        assert torch.equal(found.pooled[row : row + 1], alone.pooled)
        assert torch.equal(found.tokens[row, : alone.tokens.shape[1]], alone.tokens[0])
    cat = encode.encode("a cat").tokens[0]
    assert torch.equal(found.tokens[1, 77:], cat[-1:].expand(77, -1))
    assert torch.equal(found.tokens[0, 77:], found.tokens[0, :77])
    without = encode.schedule("a cat", None, steps=5).at(0)
    assert without.tokens.shape == (1, 77, 80)
    assert without.weights == (1.0,)


@pytest.mark.parametrize(("prompt", "negative"), [("a BREAK b", "c"), ("a", "b BREAK c BREAK d"),
                                                   ("a BREAK b", "c BREAK d BREAK e")])  # fmt: skip
def test_lengths_that_differ_answer_as_two_calls_do(sd1: Checkpoint, prompt: str, negative: str) -> None:
    """A1111 calls the UNet once with each length. Repeated to one length, both answer the same."""
    encode = PromptEncoder(sd1)
    found = encode.schedule(prompt, negative, steps=5)
    assert not found.notes
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unet = copy.deepcopy(sd1.backbone).double()
    with torch.inference_mode():
        both = unet(latents.expand(2, -1, -1, -1), 500, encoder_hidden_states=found.at(0).tokens.double())[0]
        for row, text in zip(both, (negative, prompt), strict=True):
            alone = unet(latents, 500, encoder_hidden_states=encode.encode(text).tokens.double())[0]
            assert torch.allclose(row, alone[0], atol=1e-5)


def test_empty_chunks_where_asked_for_or_needed(sd1: Checkpoint) -> None:
    """With `pad_cond_uncond` the shorter ends in empty chunks; so it does where the common length is long."""
    encode = PromptEncoder(sd1)
    found = encode.schedule("a BREAK b", "c", HowToEncode(pad_cond_uncond=True), steps=5)
    assert torch.equal(
        found.at(0).tokens[0], torch.cat([encode.encode(one).tokens for one in "c "], dim=1)[0]
    )
    assert not found.notes
    found = encode.schedule("a" + " BREAK b" * 6, "c" + " BREAK d" * 5, steps=5)
    assert found.at(0).tokens.shape[1] == 7 * 77
    assert "7 and 6 chunks" in found.notes[0]
    assert torch.allclose(found.at(0).tokens[0, -77:], judged(sd1, "")[0], atol=1e-5)


def test_a_dropped_negative_prompt_of_sdxl(sdxl: Checkpoint) -> None:
    """Nothing at all is zeros, as it was trained; what says something at some step is not nothing."""
    encode = PromptEncoder(sdxl)
    found = encode.schedule("a cat", "", steps=4).at(0)
    assert found.pooled is not None
    assert not found.tokens[0].any()
    assert not found.pooled[0].any()
    assert encode.schedule("a cat", "[:bad:0.5]", steps=4).at(0).tokens[0].any()


def test_the_second_pass(sd1: Checkpoint) -> None:
    """Fractions go on from 1 in it."""
    encode = PromptEncoder(sd1)
    found = encode.schedule("[cat:dog:1.5]", None, steps=20, hires_steps=10)
    for call, meant in ((5, "cat"), (6, "dog")):
        assert torch.allclose(found.at(call).tokens[0], judged(sd1, meant)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("prompt", "negative", "field", "words"),
    [
        ("a" + " BREAK a" * 40, "", "prompt", "41 chunks"),
        ("a", "a" + " BREAK a" * 40, "negative_prompt", "41 chunks"),
        ("a" + " AND a" * 20, "", "prompt", "21 prompts joined by AND"),
        ("".join(f"[{n}:x:{n}]" for n in range(1, 30)) + " BREAK a" * 30, "", "prompt", "texts of 31 chunks"),
    ],
)  # fmt: skip
def test_too_much(sd1: Checkpoint, prompt: str, negative: str, field: str, words: str) -> None:
    """What would keep the device from others for long is refused, by the field's name."""
    with pytest.raises(InvalidRequest, match=words) as refused:
        PromptEncoder(sd1).schedule(prompt, negative, steps=40)
    assert refused.value.field == field


def test_each_text_is_encoded_once(sd1: Checkpoint) -> None:
    """The negative prompt of all of a person's pictures is mostly the same."""
    calls: list[int] = []
    hook = sd1.text_encoders[0].register_forward_hook(lambda *_: calls.append(1))
    encode = PromptEncoder(sd1)
    for prompt in ("a", "b", "c", "a", "[a|b]", "[a|b]"):
        encode.schedule(prompt, "bad", steps=20)
    hook.remove()
    # bad, a, b, c, and both of [a|b] at once
    assert len(calls) == 5


def test_what_is_otherwise_than_in_a1111_is_told(sd1: Checkpoint) -> None:
    """A BREAK in brackets, weights without end; and a weight that one may not have meant as such."""
    encode = PromptEncoder(sd1)
    assert encode.schedule("(a BREAK b)", "c", steps=5).notes == (
        "A BREAK in brackets began a chunk; A1111 reads it as a word there.",
    )
    assert "30, was read as the weight" in encode.schedule("at 12:30", "c", steps=5).notes[0]
    for heavy in ("(a:200)", "a:200 AND b", "(((a:5):5):5)"):
        assert encode.schedule(heavy, "c", steps=5).notes == (
            "Weights end at 100, which what was written goes beyond.",
        )
    assert not encode.schedule("at 12:30,", "c:3", steps=5).notes


def laid(tokenizer: Any, text: str, backtrack: int) -> list[int]:
    """How many tokens each chunk holds."""
    ids, _ = (chunks := TokenChunks(text, tokenizer, {}, backtrack=backtrack)).tensors(len(chunks))
    return [int((row != tokenizer.eos_token_id).sum()) - 1 for row in ids]


@pytest.mark.parametrize(
    ("text", "backtrack", "lengths"),
    [
        ("a " * 70 + ", " + "b " * 10, 20, [71, 10]),
        ("a " * 70 + ", " + "b " * 10, 5, [71, 10]),
        ("a " * 70 + ", " + "b " * 10, 4, [75, 6]),
        ("a " * 70 + ", " + "b " * 10, 0, [75, 6]),
        ("a " * 75 + ", " + "b " * 10, 20, [75, 11]),
        ("a " * 74 + ", " + "b " * 10, 20, [75, 10]),
        ("a, " * 60, 20, [75, 45]),
        ("a " + "a, " * 60, 20, [75, 46]),
        (", " + "a " * 80, 1000, [1, 75, 5]),
        ("a BREAK", 20, [1]),
        ("BREAK a", 20, [0, 1]),
        ("a BREAK BREAK b", 20, [1, 0, 1]),
        ("BREAK", 20, [0]),
        ("", 20, [0]),
    ],
)
def test_chunks(sd1: Checkpoint, text: str, backtrack: int, lengths: list[int]) -> None:
    """A full chunk gives what follows its last comma to the next, if it is as near as the option says."""
    assert laid(sd1.tokenizers[0], text, backtrack) == lengths


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"[]():|\\,{} ", "0.5", "3", "cat", " AND ", " BREAK ", "[a:b:3]", "[a|b]", "é猫"]),
        max_size=15,
    ).map("".join)
)
def test_any_text_can_be_drawn(sd1: Checkpoint, text: str) -> None:
    """No text is an error, whatever its brackets; every call finds numbers of one shape."""
    found = PromptEncoder(sd1).schedule(text, text[::-1], steps=5)
    shapes = {found.at(call).tokens.shape for call in range(6)}
    assert len(shapes) == 1
    assert bool(torch.isfinite(found.at(0).tokens).all())
