"""Styles as A1111 keeps and applies them; the rows are what its users' files hold."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.prompts.styles import (
    Style,
    apply_styles,
    extract_styles,
    merge_styles,
    read_styles,
    write_styles,
)

WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@pytest.mark.parametrize(
    ("style", "prompt", "meant"),
    [
        ("masterpiece", "a cat", "a cat, masterpiece"),
        ("masterpiece", " a cat ", "a cat, masterpiece"),
        ("masterpiece", "", "masterpiece"),
        ("", "a cat ", "a cat"),
        ("photo of {prompt}, sharp", "a cat", "photo of a cat, sharp"),
        ("{prompt}, {prompt}", "a", "a, a"),
        ("photo of {prompt}", "", "photo of "),
    ],
)
def test_applied(style: str, prompt: str, meant: str) -> None:
    """Around the prompt where it has a place for it, else behind it; the same for the negative prompt."""
    assert Style("s", style).apply(prompt, "") == (meant, "")
    assert Style("s", negative_prompt=style).apply("", prompt) == ("", meant)


def test_several() -> None:
    """One after the other, and found again in that order."""
    first, second = Style("first", "photo of {prompt}", "blurry"), Style("second", "sharp", "dark")
    drawn = apply_styles([first, second], "a cat", "bad")
    assert drawn == ("photo of a cat, sharp", "bad, blurry, dark")
    assert extract_styles([first, second, Style("divider"), Style("third", "sharp", "x")], *drawn) == (
        [first, second], "a cat", "bad",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("style", "prompt", "left"),
    [
        ("masterpiece", "1girl, art by greg, masterpiece", "1girl, art by greg"),
        ("masterpiece, {prompt}", "masterpiece, 1girl, art by greg", "1girl, art by greg"),
        ("masterpiece, {prompt}", "exquisite, 1girl, art by greg", None),
        ("a  b", "x, a b ", "x"),
        ("aa {prompt} aa", "aa aa", None),
        ("{prompt}", "x", "x"),
        ("a", "a", ""),
    ],
)
def test_extracted(style: str, prompt: str, left: str | None) -> None:
    """Blanks in a row count once; half a style is none. A1111's examples first."""
    found = Style("s", style).extract(prompt, "")
    assert found == (None if left is None else (left, ""))


def test_files_of_others() -> None:
    """A byte order mark, blanks behind commas, A1111's first column, rows without a name, quotes."""
    text = '\ufeffname, prompt, negative_prompt\r\na, "b, c",\n,x,y\nd,"e ""f""\ng",h,i,j\nshort\n'
    assert read_styles(text) == {
        "a": Style("a", "b, c"), "d": Style("d", 'e "f"\ng', "h"), "short": Style("short"),
    }  # fmt: skip
    assert read_styles("name,text\na,b\n") == {"a": Style("a", "b")}
    assert read_styles("") == read_styles("no,header\n1,2") == {}


def test_a_file_that_is_none() -> None:
    """It is an error in words, not csv's."""
    with pytest.raises(InvalidRequest, match="styles"):
        read_styles("name,prompt\na," + "b" * (csv.field_size_limit() + 1))


def test_merged() -> None:
    """A person's style goes before the team's of the same name."""
    mine, ours = {"a": Style("a", "mine")}, {"a": Style("a", "ours"), "b": Style("b")}
    assert merge_styles(mine, ours) == {"a": Style("a", "mine"), "b": Style("b")}


@given(st.lists(st.builds(Style, WORDS.filter(str.strip), WORDS, WORDS)))
def test_written_and_read(styles: list[Style]) -> None:
    """What is written is read the same. Blanks at the beginning of a name are csv's to skip, as in A1111."""
    kept = {
        one.name: one
        for one in styles
        if not any(text[:1] == " " for text in (one.name, one.prompt, one.negative_prompt))
    }
    assert read_styles(write_styles(kept)) == kept


@given(WORDS, WORDS, st.lists(st.builds(Style, WORDS, WORDS, WORDS), max_size=4))
def test_any_prompt(prompt: str, negative: str, styles: list[Style]) -> None:
    """No text is an error, and extraction ends."""
    found, _, _ = extract_styles(styles, *apply_styles(styles, prompt, negative))
    assert len(found) <= len(styles)


@pytest.mark.parametrize("name", ["a", "é猫", 'q"uote', "line\nbreak", "com,ma"])
def test_names(name: str) -> None:
    """Any name survives."""
    assert read_styles(write_styles({name: Style(name, "p", "n")})) == {name: Style(name, "p", "n")}
