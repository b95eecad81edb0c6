"""Variants and wildcards: the syntax of sd-dynamic-prompts, drawn by the picture's seed."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.studio.engine.prompts.expansion import MAX_CHOICES, expand
from easel.studio.engine.prompts.wildcards import Wildcards

NOTHING = Wildcards()
SIGNS = st.lists(
    st.sampled_from([*"{}[]|$:_\\ab ", "2$$", "0.5::", "__a__", "__", "{a|b}", "1-2$$"]), max_size=25
)


@pytest.fixture
def words(tmp_path: Path) -> Wildcards:
    """A folder of wildcards."""
    for name, lines in {
        "colour.txt": "red\n\n# none\n  green  \n",
        "light/Warm.txt": "\ufeffcandle\n",
        "light/deep/cold.txt": "neon\nLED\n",
        "phrase.txt": "a {big|small} __colour__ thing",
        "loop.txt": "x __loop__ __pair__",
        "pair.txt": "__colour__ __loop__",
        "bomb.txt": "__bomb2__ __bomb2__ __bomb2__ __bomb2__",
        "bomb2.txt": "__bomb3__ __bomb3__ __bomb3__ __bomb3__",
        "bomb3.txt": "__colour__ __colour__ __colour__ __colour__ {a|b} {a|b}" * 20,
        "weighted.txt": "9::often\nseldom\n",
        "odd[1].txt": "bracket",
        "notes.md": "no wildcard",
        ".hidden.txt": "hidden",
    }.items():
        (tmp_path / "wildcards" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "wildcards" / name).write_text(lines)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "wildcards/link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "wildcards/up").symlink_to(tmp_path)
    return Wildcards([tmp_path / "wildcards", tmp_path / "there is none"])


def drawn(text: str, words: Wildcards = NOTHING, times: int = 400) -> Counter[str]:
    """What the first seeds draw."""
    return Counter(expand(text, seed, words).text for seed in range(times))


@pytest.mark.parametrize(
    ("text", "all_of_them"),
    [
        ("a {red|green} ball", {"a red ball", "a green ball"}),
        ("{very |}happy", {"very happy", "happy"}),
        ("{{a|b}|{c|d}} e", {"a e", "b e", "c e", "d e"}),
        ("{2$$a|b|c}", {"a, b", "b, a", "a, c", "c, a", "b, c", "c, b"}),
        ("{2$$ and $$a|b}", {"a and b", "b and a"}),
        ("{1-2$$a|b}", {"a", "b", "a, b", "b, a"}),
        ("{2-$$a|b}", {"a, b", "b, a"}),
        ("{-1$$a|b}", {"a", "b"}),
        ("{9$$a|b}", {"a, b", "b, a"}),
        ("{0$$a|b}c", {"c"}),
        ("{1::a|0::b}", {"a"}),
        ("{0::a|0::b}", {"a", "b"}),
        ("{[a|b]|c}", {"[a|b]", "c"}),
        ("{(a:1.2)|b}", {"(a:1.2)", "b"}),
        ("[{a|b}:c:0.5]", {"[a:c:0.5]", "[b:c:0.5]"}),
        ("{~a|b}", {"~a", "b"}),
    ],
)
def test_variants(text: str, all_of_them: set[str]) -> None:
    """Every way there is comes, and no other."""
    assert set(drawn(text)) == all_of_them


@pytest.mark.parametrize(
    "text",
    ["", "{}", "{a}", "{a|b", "a|b}", "}{", "|", r"\{a|b\}", '{"steps": 5, "size": {"w": 1}}', "{{a}}",
     "{a{b}c}", "a__b", "__ a__", "____", "__a", "__a\nb__", "${x}", "50% {a} #b // c", "{prompt}", "[a|b]"],
)  # fmt: skip
def test_what_chooses_nothing_is_text(text: str) -> None:
    """Braces of other origins stay, and broken syntax is letters."""
    assert expand(text, 1, NOTHING).text == text
    assert not expand(text, 1, NOTHING).notes


def test_as_likely_as_said() -> None:
    """Options are drawn by their weights; several of them too."""
    counts = drawn("{3::a|b}", times=4000)
    assert 0.72 < counts["a"] / 4000 < 0.78
    counts = drawn("{2$$8::a|b|c}", times=4000)
    first = sum(count for text, count in counts.items() if text.startswith("a"))
    assert 0.77 < first / 4000 < 0.83


def test_a_seed_is_a_text() -> None:
    """The words of a seed are the same for ever, or an infotext would not draw its picture again."""
    text = "{red|green|blue|black} {2$$a|b|c|d}"
    words = ["black b, d", "red a, b", "green c, a"]
    assert [expand(text, seed, NOTHING).text for seed in (1, 2, 2**63)] == words
    assert expand(text, 1, NOTHING, "negative_prompt").text != words[0]


@pytest.mark.parametrize(
    ("text", "all_of_them"),
    [
        ("a __colour__ ball", {"a red ball", "a green ball"}),
        ("__COLOUR__", {"red", "green"}),
        ("__light/warm__", {"candle"}),
        ("__light/*__", {"candle", "neon", "LED"}),
        ("__light/**/c*__", {"neon", "LED"}),
        ("__cold__", {"neon", "LED"}),
        ("__*d__", {"neon", "LED"} | {"often", "seldom"}),
        ("__odd[1]__", {"bracket"}),
        (r"__light\warm__", {"candle"}),
        ("{2$$__colour__}", {"red, green", "green, red"}),
        ("{__colour__}", {"red", "green"}),
        (
            "__phrase__",
            {f"a {size} {colour} thing" for size in ("big", "small") for colour in ("red", "green")},
        ),
        ("<lora:__colour__:1>", {"<lora:red:1>", "<lora:green:1>"}),
    ],
)
def test_wildcards(words: Wildcards, text: str, all_of_them: set[str]) -> None:
    """A line of the file, of any that a pattern fits, or of one in a folder; lines are prompts."""
    assert set(drawn(text, words)) == all_of_them
    assert not expand(text, 1, words).notes


def test_weights_of_lines(words: Wildcards) -> None:
    """A line may begin with its weight."""
    assert drawn("__weighted__", words, 1000)["often"] > 850


@pytest.mark.parametrize(
    "text",
    ["__../secret__", "__/etc/passwd__", "__link__", "__up/secret__", "__..__", "__.hidden__", "__notes__",
     "__notes.md__", "__wildcards/colour__", "__colour.txt__", "__~/x__", "__%2e%2e/secret__"],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder(words: Wildcards, text: str) -> None:
    """Neither dots nor links nor hidden files are wildcards; it is text, and said to be."""
    found = expand(text, 1, words)
    assert found.text == text
    assert len(found.notes) <= 1


def test_unknown_wildcards_are_named_once(words: Wildcards) -> None:
    """With the name that may have been meant."""
    found = expand("__color__ " + " ".join(f"__x{n}__" for n in range(20)), 1, words)
    assert len(found.notes) == 1
    assert "color, x0, x1, x2, x3 and 16 more" in found.notes[0]
    assert "did you mean colour?" in found.notes[0]


def test_files_that_name_themselves(words: Wildcards) -> None:
    """What would never end is text, and said to be."""
    found = expand("__loop__", 1, words)
    assert found.text in (f"x __loop__ {colour} __loop__" for colour in ("red", "green"))
    assert "names itself" in found.notes[0]


def test_files_that_name_too_many(words: Wildcards) -> None:
    """A text grows up to a bound; what is left then stays as it is written."""
    began = time.process_time()
    found = expand("__bomb__", 1, words)
    assert time.process_time() - began < 2
    assert str(MAX_CHOICES) in found.notes[0]
    assert "__colour__" in found.text
    assert len(found.text) < 100_000


def test_how_is_told(words: Wildcards) -> None:
    """The extension's other ways to choose are random here, which is said."""
    assert "at random" in expand("__@colour__", 1, words).notes[0]
    assert "at random" in expand("{!2$$a|b}", 1, words).notes[0]
    assert not expand("__~colour__", 1, words).notes


@settings(max_examples=300)
@given(st.text() | SIGNS.map("".join), st.integers(-1, 2**64))
def test_any_text_can_be_drawn(text: str, seed: int) -> None:
    """No text is an error; one seed draws one text; no letter comes from nowhere."""
    found = expand(text, seed, NOTHING).text
    assert found == expand(text, seed, NOTHING).text
    assert set(found) <= {*text, ",", " "}


@given(st.text(alphabet=st.characters(exclude_characters="{_")), st.integers(0, 100))
def test_letters_stay(text: str, seed: int) -> None:
    """What holds no sign of the language is itself."""
    assert expand(text, seed, NOTHING).text == text


@pytest.mark.parametrize(
    "text",
    ["{" * 20_000, "{a|" * 6600 + "}" * 200, "{a|" * 5000 + "b" + "}" * 5000, "{[|" * 6000 + "}" * 2000,
     "__a" * 6000, "__a__" * 4000, "{2$$" * 4000 + "a|b" + "}" * 3000, "{9999$$" + "a|" * 9000 + "}",
     "{" + "{a|b}|" * 3000 + "}", "__" + "a" * 20_000, "{2$$__b" * 2000 + "}__" * 2000],
)  # fmt: skip
def test_brackets_without_end_cost_no_more_than_letters(words: Wildcards, text: str) -> None:
    """A prompt made to be slow or deep is neither."""
    began = time.process_time()
    expand(text, 1, words)
    assert time.process_time() - began < 1.0
