"""What the page offers and counts while somebody types."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.models import Store
from easel.studio.engine import count_tokens
from easel.studio.engine.text_models.tokenizer import load_tokenizer


def tokens(client: Any, prompt: str, negative: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    answer = client.post("/studio/tokens", json={"prompt": prompt, "negative_prompt": negative})
    assert answer.status_code == 200, answer.text
    return answer.json()["prompt"], answer.json()["negative_prompt"]


@pytest.mark.parametrize(
    ("prompt", "count", "limit"),
    [
        ("", 0, 75),
        ("a red circle", 3, 75),
        ("a (red:1.2) circle", 3, 75),  # brackets and weights are no words
        ("<lora:anything:1> hello", 1, 75),  # nor are tags
        ("hello # not this", 1, 75),  # nor comments
        ("a [red:blue green yellow:0.5] cat", 5, 75),  # the longest of what it says at a step
        ("dog BREAK cat", 76, 150),  # a new chunk, whatever the first holds
        ("word " * 75, 75, 75),
        ("word " * 76, 76, 150),
        ("one two AND three", 2, 75),  # prompts beside each other, not behind
    ],
)
def test_counts_are_a1111s(ada, prompt, count, limit) -> None:
    """As A1111's page shows them beside the prompt."""
    found, _ = tokens(ada, prompt)
    assert (found["count"], found["limit"]) == (count, limit)


def test_both_prompts_are_counted(ada) -> None:
    """Each by itself."""
    positive, negative = tokens(ada, "a cat", "blurry, low quality")
    assert (positive["count"], negative["count"]) == (2, 4)


def test_a_border_stands_where_a_chunk_ends(ada) -> None:
    """The word that it stands before is the first of the next chunk."""
    text = " ".join(f"word{n % 10}" for n in range(60))
    found, _ = tokens(ada, text)
    (border,) = found["breaks"]
    assert text[border:].startswith("word")
    tokenizer = load_tokenizer("<|endoftext|>")
    before = len(tokenizer(text[:border], add_special_tokens=False)["input_ids"])
    assert 74 <= before <= 75


def test_no_borders_where_words_change(ada) -> None:
    """The chunks do too, from step to step."""
    assert tokens(ada, "[cat:dog:0.5] " + "word " * 100)[0]["breaks"] == []


@given(st.text(alphabet="ab ,()[]:|<>\\{}_AND.BREAK05\n", max_size=120))
@settings(max_examples=200, deadline=None)
def test_whatever_is_typed_is_counted(tmp_path_factory, text) -> None:
    """Broken syntax is text; a count is never above its limit, and borders lie within the text in order."""
    found = count_tokens(text, Store(tmp_path_factory.getbasetemp()))
    assert 0 <= found.count <= found.limit
    assert list(found.breaks) == sorted(found.breaks)
    assert all(0 < at <= len(text) for at in found.breaks)


@pytest.mark.parametrize("body", [[], "x", {"prompt": 3}, {"prompt": None}, {"prompt": "a" * 20_001}])
def test_what_is_no_prompt_is_refused(ada, body) -> None:
    """In A1111's shape, and not by a fault."""
    answer = ada.post("/studio/tokens", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_words_are_what_is_there(running, ada) -> None:
    """LoRAs, embeddings, wildcards and styles by the names that a prompt takes."""
    wildcards = running.studio.engine.store.root / "wildcards"
    wildcards.mkdir(exist_ok=True)
    (wildcards / "hues.txt").write_text("red\nblue\n")
    try:
        found = ada.get("/studio/words").json()
    finally:
        (wildcards / "hues.txt").unlink()
    assert set(found) == {"loras", "embeddings", "wildcards", "styles", "trained"}
    assert "hues" in found["wildcards"]


def test_styles_of_others_are_not_offered(running) -> None:
    """A person's own styles are theirs."""
    own = running.studio.outputs.owned("eve")
    own.mkdir(parents=True, exist_ok=True)
    (own / "styles.csv").write_text("name,prompt,negative_prompt\nEve's secret,moon,\n")
    try:
        with running.ask("eve") as eve, running.ask("bob") as bob:
            assert eve.get("/studio/words").json()["styles"] == ["Eve's secret"]
            assert bob.get("/studio/words").json()["styles"] == []
    finally:
        (own / "styles.csv").unlink()


@pytest.mark.parametrize(
    "text", ["{" * 4000 + "a|b" + "}" * 4000, "é̀" * 6000, ": " * 9000], ids=["braces", "accents", "colons"]
)
def test_borders_of_any_text_are_found_soon(tmp_path_factory, text) -> None:
    """Each was looked for from the beginning on, up to a hundred times: 8,000 letters took 20 s of whoever
    typed them. What is more than can be drawn has no borders."""
    store = Store(tmp_path_factory.mktemp("models"), hashing=False)
    began = time.process_time()
    breaks = count_tokens(text, store).breaks
    assert time.process_time() - began < 8
    assert 30 < len(breaks) < 40
    assert list(breaks) == sorted(breaks)
