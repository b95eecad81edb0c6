"""A1111's attention syntax, as its wiki states it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.prompts.emphasis import (
    MAX_WEIGHT,
    EmphasisMode,
    Span,
    breaks_in_brackets,
    spans,
)


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ("", []),
        ("plain words", [Span("plain words")]),
        ("a (b) c", [Span("a "), Span("b", 1.1), Span(" c")]),
        ("((b))", [Span("b", 1.1 * 1.1)]),
        ("[b]", [Span("b", 1 / 1.1)]),
        ("(b:1.5)", [Span("b", 1.5)]),
        ("(b: 0.5 )", [Span("b", 0.5)]),
        ("(a (b:2) c:1.5)", [Span("a ", 1.5), Span("b", 3.0), Span(" c", 1.5)]),
        (r"\(b\)", [Span("(b)")]),
        (r"\[b\] \\", [Span("[b] \\")]),
        ("a\\b \\", [Span("ab ")]),
        ("(a [b) c]", [Span("a ", 1.1), Span("b", 1.1 / 1.1), Span(" c", 1 / 1.1)]),
        ("(unnecessary)(parens)", [Span("unnecessaryparens", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                Span("a "),
                Span("house", 1.573),
                Span(" ", 1.1),
                Span("on", 1.0),
                Span(" a ", 1.1),
                Span("hill", 0.55),
                Span(", sun, ", 1.1),
                Span("sky", 1.4641),
                Span(".", 1.1),
            ],
        ),
        ("(b", [Span("b", 1.1)]),
        ("b)", [Span("b)")]),
        ("[b:1.5)", [Span("b:1.5)", 1 / 1.1)]),
        ("(b]", [Span("b]", 1.1)]),
        ("a: 12:30", [Span("a: 12:30")]),
        ("(12:30)", [Span("12", 30.0)]),
        ("a BREAK b", [Span("a "), Span(None), Span(" b")]),
        ("BREAKFAST", [Span("BREAKFAST")]),
        ("(a BREAK b:2)", [Span("a ", 2.0), Span(None), Span(" b", 2.0)]),
    ],
)
def test_syntax(prompt: str, meant: list[Span]) -> None:
    """Round brackets add a tenth, square ones take it away, a number says it outright; escapes and strays are
    text."""
    parsed = spans(prompt)
    assert [span.text for span in parsed] == [span.text for span in meant]
    assert [span.weight for span in parsed] == pytest.approx([span.weight for span in meant])


def test_without_emphasis() -> None:
    """With "None" everything is letters; with the other modes the text is read the same."""
    assert spans(r"(a:2) \[ BREAK", EmphasisMode.NONE) == [Span(r"(a:2) \[ BREAK")]
    assert spans("", EmphasisMode.NONE) == []
    assert spans("(a:2)", EmphasisMode.IGNORE) == spans("(a:2)", EmphasisMode.NO_NORM) == [Span("a", 2.0)]


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a BREAK b", False),
        ("(a) BREAK [b]", False),
        ("(a BREAK b:2)", True),
        ("[a BREAK b", True),
        ("a) BREAK", False),
    ],
)
def test_breaks_in_brackets(prompt: str, found: bool) -> None:
    """What A1111 reads otherwise is found, so that it can be told."""
    assert breaks_in_brackets(prompt) is found


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_parses_without_loss(text: str) -> None:
    """No prompt is an error, and letters that are not syntax survive."""
    found = spans(text)
    kept = "".join("BREAK" if span.text is None else span.text for span in found)
    assert [c for c in kept if c.isalpha()] == [c for c in text if c.isalpha()]
    assert all(abs(span.weight) <= MAX_WEIGHT for span in found)


@pytest.mark.parametrize(
    "prompt", ["(" * 20_000, "(a" * 7_000 + ")" * 6_000, "[" * 10_000 + "x" + "]" * 10_000]
)
def test_brackets_without_end_cost_no_more_than_letters(prompt: str) -> None:
    """A prompt made to be slow is not: one person's brackets must not hold up everyone's pictures."""
    began = time.process_time()
    spans(prompt)
    assert time.process_time() - began < 1.0
