"""Prompt editing and alternation, as A1111's wiki and its own examples state them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.prompts.schedule import Entry, current, readings, schedule

SIGNS = st.lists(
    st.sampled_from([*"[]():|\\ab ", "0.5", "3", ".25", "1e1", "-2", "\n", "[a:b:3]", "[a|b]", "(a:1.2)"]),
    max_size=20,
).map("".join)  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "entries"),
    [
        ("test", [(10, "test")]),
        ("a [b:3]", [(3, "a "), (10, "a b")]),
        ("a [b: 3]", [(3, "a "), (10, "a b")]),
        ("a [b:3 ]", [(3, "a "), (10, "a b")]),
        ("a [[[b]]:2]", [(2, "a "), (10, "a [[b]]")]),
        ("[(a:2):3]", [(3, ""), (10, "(a:2)")]),
        ("a [b : c : 1] d", [(1, "a b  d"), (10, "a  c  d")]),
        ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
        ("a [unbalanced", [(10, "a [unbalanced")]),
        ("a [b:.5] c", [(5, "a  c"), (10, "a b c")]),
        ("a [{b|d{:.5] c", [(10, "a [{b|d{:.5] c")]),
        ("((a][:b:c [d:3]", [(3, "((a][:b:c "), (10, "((a][:b:c d")]),
        ("a [b::0.3]", [(3, "a b"), (10, "a ")]),
        ("(a [b:c:0.5]:1.2)", [(5, "(a b:1.2)"), (10, "(a c:1.2)")]),
        ("[(a:1.3):[b]:5]", [(5, "(a:1.3)"), (10, "[b]")]),
        ("[a:b]", [(10, "[a:b]")]),
        ("[a:b:c:3]", [(10, "[a:b:c:3]")]),
        ("[a:b:[c:d:2]:3]", [(2, "[a:b:c:3]"), (10, "[a:b:d:3]")]),
        ("[a:b:99]", [(10, "a")]),
        ("[a:b:1e999]", [(10, "a")]),
        ("[a:b:-3]", [(10, "b")]),
        ("[a:b:0]", [(10, "b")]),
        (r"\[a:b:3\]", [(10, r"\[a:b:3\]")]),
        (r"[a\:b:c:3]", [(3, r"a\:b"), (10, "c")]),
        ("[a:b:3] | c", [(10, "[a:b:3] | c")]),
        ("[a:b:3] \\", [(10, "[a:b:3] \\")]),
        ("[a (b:c:3]", [(10, "[a (b:c:3]")]),
    ],
)
def test_editing(prompt: str, entries: list[tuple[int, str]]) -> None:
    """What stands from which step on; what is no editing is letters. Ten steps, A1111's examples first."""
    assert schedule(prompt, 10) == tuple(Entry(*one) for one in entries)


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("[a|(b:1.1)]", ["a", "(b:1.1)"] * 5),
        ("[fe|]male", ["female", "male"] * 5),
        ("[fe|||]male", ["female", "male", "male", "male"] * 3),
        ("[a|b|c]", ["a", "b", "c"] * 4),
        ("[[a|b]|c]", ["a", "c"] * 5),
        ("[[a|b]:c:3]", ["a", "b", "a", *["c"] * 7]),
    ],
)
def test_alternation(prompt: str, texts: list[str]) -> None:
    """Each step has the next of the words, an empty one too."""
    assert [entry.text for entry in schedule(prompt, 10)] == texts[:10]


@pytest.mark.parametrize(
    ("prompt", "entries"),
    [
        ("a [b:.5] c", [(10, "a b c")]),
        ("a [b:1.5] c", [(5, "a  c"), (10, "a b c")]),
        ("a [b:25] c", [(5, "a  c"), (10, "a b c")]),
        ("a [b:15] c", [(10, "a b c")]),
        ("[a|b]", [(step, "ab"[(step - 1) % 2]) for step in range(1, 11)]),
    ],
)
def test_second_pass(prompt: str, entries: list[tuple[int, str]]) -> None:
    """A second pass goes on where the first ended: fractions from 1 to 2, steps from the first's on."""
    assert schedule(prompt, 20, 10) == tuple(Entry(*one) for one in entries)


def test_which_entry_counts() -> None:
    """Calls are counted from 0 and a step includes its end; past the last it is the first, as in A1111."""
    entries = schedule("[a:b:3]", 10)
    assert [entries[current(entries, call)].text for call in range(13)] == ["a"] * 4 + ["b"] * 7 + ["a"] * 2


def test_readings() -> None:
    """Everything that a prompt may become at some step can be looked for in it."""
    assert {"[ea|un]sy:x", "easy:x", "unsy:x"} <= set(readings("[ea|un]sy:x"))
    assert any("cat" in one and "dog" not in one for one in readings("[cat:dog:0.5]"))
    assert len(list(readings("[" + "|" * 10_000 + "]"))) < 1100


@given(st.text() | SIGNS, st.integers(1, 30), st.none() | st.integers(1, 30))
def test_any_text_has_a_schedule(text: str, steps: int, hires: int | None) -> None:
    """No text is an error; its entries go up to the last step, and add no letter to it."""
    entries = schedule(text, steps, hires)
    assert entries[-1].end == (hires or steps)
    assert [entry.end for entry in entries] == sorted({entry.end for entry in entries})
    for entry in entries:
        rest = iter(text)
        assert all(letter in rest for letter in entry.text)


@given(st.text(alphabet=st.characters(exclude_characters="[]():|\\")))
def test_letters_stay(text: str) -> None:
    """What holds no sign of the language is one text from beginning to end."""
    assert schedule(text, 7) == (Entry(7, text),)


@pytest.mark.parametrize(
    "prompt",
    [
        "[" * 10_000, "(" * 10_000 + ")" * 10_000, "[" * 10_000 + "x" + "]" * 10_000,
        "[a:" * 5000 + ":3]" * 5000, "[a|" * 5000 + "]" * 5000, "[" + "a|" * 9000 + "]",
        "[a:b:3" * 3000, "]" * 20_000, ":" * 20_000,
        "\\" * 19_999, "[a:" + "9" * 19_000 + "]",
    ],
)  # fmt: skip
def test_brackets_without_end_cost_no_more_than_letters(prompt: str) -> None:
    """A prompt made to be slow or deep is neither: one person's brackets must not hold up everyone."""
    began = time.process_time()
    schedule(prompt, 3)
    assert time.process_time() - began < 1.0
