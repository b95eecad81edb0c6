"""A1111's attention syntax, as its wiki states it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.prompt import MAX_WEIGHT, Span, parse_prompt


@pytest.mark.parametrize(
    ("prompt", "spans"),
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
def test_syntax(prompt: str, spans: list[Span]) -> None:
    """Round brackets add a tenth, square ones take it away, a number says it outright; escapes and strays are
    text."""
    parsed = parse_prompt(prompt)
    assert [span.text for span in parsed] == [span.text for span in spans]
    assert [span.weight for span in parsed] == pytest.approx([span.weight for span in spans])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_parses_without_loss(text: str) -> None:
    """No prompt is an error, and letters that are not syntax survive."""
    spans = parse_prompt(text)
    kept = "".join(span.text or "BREAK" for span in spans)
    assert [c for c in kept if c.isalpha()] == [c for c in text if c.isalpha()]
    assert all(abs(span.weight) <= MAX_WEIGHT for span in spans)


@pytest.mark.parametrize(
    "prompt", ["(" * 20_000, "(a" * 7_000 + ")" * 6_000, "[" * 10_000 + "x" + "]" * 10_000]
)
def test_brackets_without_end_cost_no_more_than_letters(prompt: str) -> None:
    """A prompt made to be slow is not: one person's brackets must not hold up everyone's pictures."""
    began = time.process_time()
    parse_prompt(prompt)
    assert time.process_time() - began < 1.0
