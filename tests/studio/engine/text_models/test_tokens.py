"""Texts as tokens: as transformers splits them, weighed by their brackets, and counted for the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.text_models import vocabularies
from easel.studio.engine.text_models.token_counts import FamilyTokens, family_tokens
from easel.studio.engine.text_models.tokenizer import load_tokenizer
from easel.studio.engine.text_models.weighed_tokens import plain, weighed_tokens, weighs
from easel.studio.families import HERE
from tests.studio.engine.text_models.test_mistral3 import tekken, tokenizer_of
from tests.studio.engine.text_models.tiny_encoders import qwen_tokenizer, t5_tokenizer

OURS = {"clip": vocabularies.clip, "t5": vocabularies.t5, "qwen3": vocabularies.qwen3}
ANY = st.text(max_size=60) | st.lists(
    st.sampled_from(
        ["a", " red", "cat ", "(", ")", "[", "]", ":1.3)", "\\(", "\\", "BREAK", ", ", "猫", "\n"]
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        "clip": load_tokenizer("<|endoftext|>"),
        "t5": t5_tokenizer(tmp_path_factory.mktemp("t5")),
        "qwen3": qwen_tokenizer(vocabularies.qwen3()),
    }


@pytest.mark.parametrize("name", OURS)
@given(text=ANY)
def test_as_transformers_splits_it(name: str, theirs: dict[str, Any], text: str) -> None:
    """Without brackets' meaning: letter by letter the same tokens."""
    wanted = theirs[name](text, add_special_tokens=False, verbose=False)["input_ids"]
    assert list(weighed_tokens(OURS[name](), text, EmphasisMode.NONE).ids) == wanted


@pytest.mark.parametrize("name", OURS)
@given(text=ANY)
def test_brackets_change_weights_alone(name: str, text: str) -> None:
    """The tokens are those of the text without brackets, each with a weight; without brackets all are 1."""
    found = weighed_tokens(OURS[name](), text, EmphasisMode.ORIGINAL)
    bare = weighed_tokens(OURS[name](), plain(text, EmphasisMode.ORIGINAL), EmphasisMode.NONE)
    ignored = weighed_tokens(OURS[name](), text, EmphasisMode.IGNORE)
    assert found.ids == bare.ids == ignored.ids
    assert len(found.ids) == len(found.weights)
    assert set(ignored.weights) | set(bare.weights) <= {1.0}
    if not weighs(text, EmphasisMode.ORIGINAL):
        assert set(found.weights) <= {1.0}


@pytest.mark.parametrize("name", OURS)
@given(weight=st.floats(0.1, 3).map(lambda one: round(one, 2)))
def test_a_word_has_the_weight_of_its_brackets(name: str, weight: float) -> None:
    """All tokens of the words in them, and no others."""
    made = OURS[name]()
    found = weighed_tokens(made, f"the (watercolour:{weight}) cat", EmphasisMode.ORIGINAL)
    heavy = [token for token, one in zip(found.ids, found.weights, strict=True) if one == weight != 1]
    assert made.decode(heavy).strip() == ("watercolour" if weight != 1 else "")


def test_qwens_numbers() -> None:
    """As published: of the marks around words, of the first and the last word, and where each model ends."""
    made = vocabularies.qwen3()
    assert made.encode("<|im_start|>user\nHi<|im_end|>").ids == [151644, 872, 198, 13048, 151645]
    assert made.encode("<think>\n\n</think>").ids == [151667, 271, 151668]
    assert made.id_to_token(0) == "!"
    assert (made.get_vocab_size(), vocabularies.qwen25().get_vocab_size()) == (151669, 151665)


def test_t5s_numbers() -> None:
    """As published."""
    made = vocabularies.t5()
    assert made.encode("A cat.").ids == [71, 1712, 5, 1]
    assert made.token_to_id("</s>") == 1
    assert made.get_vocab_size() == 32100


@pytest.mark.parametrize(
    ("family", "wanted"),
    [
        ("sd35-large", (3, 511)),
        ("flux-dev", (3, 511)),
        ("chroma", (3, 511)),
        # <|im_start|>user\n and <|im_end|>\n<|im_start|>assistant\n are 8, no thoughts 4
        ("z-image", (3, 504)),
        ("flux2-klein-9b", (3, 500)),
        ("qwen-image", (3, 512)),
        ("qwen-image-edit", (3, 512)),
        ("flux2", None),
    ],
)
def test_what_the_page_shows(family: str, wanted: tuple[int, int] | None) -> None:
    """The words alone, of as many as are read."""
    found = family_tokens(family, "the (red:1.4) cats", 512)
    assert found == (None if wanted is None else FamilyTokens(*wanted))


def test_mistral_counts_once_it_is_there() -> None:
    """With the tokenizer that came with its weights."""
    found = family_tokens("flux2", "the red", 512, mistral=tokenizer_of(tekken()))
    assert found is not None
    assert found.count == 3
    assert 300 < found.limit < 400


def test_the_files_say_no_date() -> None:
    """A gzip that is made anew is the same, byte for byte."""
    for path in (HERE / "tokenizers").rglob("*.gz"):
        assert Path(path).read_bytes()[4:8] == bytes(4)
