"""`a AND b`, as A1111 splits it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.prompts.composition import Part, negative_counts, parts


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ("", [("", 1)]),
        ("a cat", [("a cat", 1)]),
        ("a cat :1.2 AND a dog", [("a cat", 1.2), (" a dog", 1)]),
        ("a AND b AND c :-0.5", [("a", 1), (" b", 1), (" c", -0.5)]),
        ("a:2 AND b : .5 ", [("a", 2), (" b", 0.5)]),
        ("a:+3. AND", [("a", 3), ("", 1)]),
        ("SAND AND LAND", [("SAND", 1), (" LAND", 1)]),
        ("a and b", [("a and b", 1)]),
        ("(a:1.2) AND b", [("(a:1.2)", 1), (" b", 1)]),
        ("a:1.2 b", [("a:1.2 b", 1)]),
        ("a:b:2", [("a:b", 2)]),
        ("a:1e3", [("a:1e3", 1)]),
        ("at 12:30", [("at 12", 30)]),
        ("a:999999", [("a", 100)]),
        ("[a AND b:0.5]", [("[a", 1), (" b:0.5]", 1)]),
    ],
)
def test_parts(prompt: str, meant: list[tuple[str, float]]) -> None:
    """AND in capitals, as a word, parts prompts; a number behind a part's last colon is its weight."""
    assert parts(prompt) == tuple(Part(*one) for one in meant)


@pytest.mark.parametrize(
    ("prompt", "scale", "counts"),
    [("a", 1, False), ("a", 7, True), ("a:2", 0.5, False), ("a:2", 1, True), ("a AND b", 1, True),
     ("a:.5 AND b:.5", 1, False), ("a", 0, True)],
)  # fmt: skip
def test_when_the_negative_prompt_counts(prompt: str, scale: float, counts: bool) -> None:
    """negative + Σ weight·(part - negative)·scale holds no negative where Σ weight·scale is 1."""
    assert negative_counts(prompt, scale) is counts


@given(st.text() | st.lists(st.sampled_from(["AND", " AND ", ":", "1.2", "a", " ", "\n"])).map("".join))
def test_any_text_has_parts(text: str) -> None:
    """No text is an error, and letters that are no AND and no weight survive."""
    found = parts(text)
    assert found
    assert all(abs(part.weight) <= 100 for part in found)
    if ":" not in text and "AND" not in text:
        assert found == (Part(text.rstrip()),)


def test_spaces_are_not_slow() -> None:
    """A1111's pattern for the weight doubles its time with each blank."""
    began = time.process_time()
    parts(" " * 20_000 + ":1")
    parts(" AND " * 4000)
    assert time.process_time() - began < 0.5
