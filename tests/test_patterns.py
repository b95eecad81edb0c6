"""Regular expressions: whoever writes the text must not decide how long it takes to read it."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from re import _constants as kinds  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
_ANCHORED, _ANYWHERE = {"match", "fullmatch"}, {"search", "sub", "split", "findall", "finditer"}
_REPEATS = (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT)
LETTERS = 2000
# Seconds of the processor for so many letters: where they are looked at once each it is a hundredth of that.
MOST = 0.0015


@dataclass(frozen=True)
class Written:
    """A pattern as it is written in the sources, and whether it is looked for anywhere in a text."""

    where: str
    pattern: re.Pattern[Any]
    anywhere: bool

    def time(self, text: str) -> float:
        """Seconds of the processor, the least of three looks."""
        read = text.encode("latin-1", "replace") if isinstance(self.pattern.pattern, bytes) else text
        looks = [
            self.pattern.match,
            self.pattern.fullmatch,
            *([self.pattern.search] if self.anywhere else []),
        ]
        return min(sum(_timed(look, read) for look in looks) for _ in range(3))


def _timed(look: Callable[[Any], object], read: str | bytes) -> float:
    began = time.process_time()
    look(read)
    return time.process_time() - began


def written() -> Iterator[Written]:
    """Every one. What reads our own files alone is left out."""
    for file in sorted(one for top in ("image/easel", "infra") for one in (ROOT / top).rglob("*.py")):
        source = file.read_text()
        if "re." not in source or file.name == "bundle.py":
            continue
        for node in ast.walk(ast.parse(source)):
            call = node.value if isinstance(node, ast.Assign) else node
            text = _text_of(call)
            if text is None or not isinstance(call, ast.Call):
                continue
            how = ast.unparse(call.func).removeprefix("re.")
            anywhere = how in _ANYWHERE
            if how == "compile":
                if not isinstance(node, ast.Assign):
                    continue  # seen as what it is assigned to
                name = re.escape(ast.unparse(node.targets[0]))
                anywhere = bool(re.search(rf"\b{name}\.({'|'.join(_ANYWHERE)})\b", source))
            verbose = "re.VERBOSE" in ast.unparse(call)
            pattern = re.compile(text, re.VERBOSE | re.DOTALL if verbose else 0)
            yield Written(f"{file.relative_to(ROOT)}:{call.lineno}", pattern, anywhere)


def _text_of(call: ast.AST) -> str | bytes | None:
    """The pattern of a call of `re`'s, where it is written there."""
    if not isinstance(call, ast.Call) or not call.args or not isinstance(call.args[0], ast.Constant):
        return None
    how = ast.unparse(call.func).removeprefix("re.") if ast.unparse(call.func).startswith("re.") else ""
    text = call.args[0].value
    return text if how in {"compile", *_ANCHORED, *_ANYWHERE} and isinstance(text, str | bytes) else None


def attacks(pattern: re.Pattern[Any]) -> set[str]:
    """What its repetitions take, and then does not fit."""
    return {one + end for one in _pumped(parser.parse(pattern.pattern, pattern.flags)) for end in ("\0", "")}


def _pumped(tree: Iterable[Any]) -> Iterator[str]:
    """For each endless repetition what leads to it, and then what it repeats, again and again."""
    before = ""
    for kind, value in tree:
        if kind in _REPEATS and value[1] == kinds.MAXREPEAT:
            yield before + _least(value[2]) * (LETTERS // max(1, len(_least(value[2]))))
        for inner in _inside(kind, value):
            yield from (before + one for one in _pumped(inner))
        before += _least([(kind, value)])


def _inside(kind: Any, value: Any) -> list[Any]:
    if kind in _REPEATS:
        return [value[2]]
    if kind is kinds.SUBPATTERN:
        return [value[3]]
    if kind is kinds.BRANCH:
        return list(value[1])
    return [value] if kind is kinds.ATOMIC_GROUP else []


def _least(tree: Iterable[Any]) -> str:
    """A short text that a pattern begins with; lookarounds and ends are passed over."""
    found = ""
    for kind, value in tree:
        if kind is kinds.LITERAL:
            found += chr(value)
        elif kind is kinds.NOT_LITERAL or kind is kinds.ANY:
            found += "~"
        elif kind is kinds.IN:
            found += _one_of(value)
        elif kind in _REPEATS:
            found += _least(value[2]) * value[0]
        elif inner := _inside(kind, value):
            found += _least(inner[0])
    return found


def _one_of(choices: list[Any]) -> str:
    """A letter of a set."""
    negated = choices[0][0] is kinds.NEGATE
    for letter in " 1a~" + "".join(map(chr, range(33, 127))):
        if any(_has(kind, value, letter) for kind, value in choices[negated:]) != negated:
            return letter
    return chr(choices[0][1]) if choices[0][0] is kinds.LITERAL else "~"


def _has(kind: Any, value: Any, letter: str) -> bool:
    if kind is kinds.CATEGORY:
        name = str(value).rpartition("_")[2].lower()
        there = {"digit": str.isdigit, "space": str.isspace, "word": lambda one: one.isalnum() or one == "_"}
        return there[name](letter) != ("NOT" in str(value))
    if kind is kinds.LITERAL:
        return letter == chr(value)
    return bool(value[0] <= ord(letter) <= value[1])


def test_no_text_takes_its_square() -> None:
    """Each pattern of the sources, on texts that its own repetitions take."""
    known = list(written())
    slow = [
        f"{one.where} {one.pattern.pattern!r:.90} on {text[:20]!r}…{text[-1:]!r}"
        for one in known
        for text in attacks(one.pattern)
        if one.time(text) > MOST
    ]
    assert len(known) > 100
    assert slow == []


@pytest.mark.parametrize(
    ("text", "anywhere"),
    [
        (r"[\s]+(?=/|$)", True),
        (r"\s*(?P<how>[~@!]?)\s*(?:(?P<exact>\d{1,4})|(?P<low>\d{0,4}))\$\$", False),
        (r":\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)", False),
        (r"\s*\[SEP\]\s*", True),
        (r"\s*\[[0-9a-fA-F]*\]\s*$", True),
    ],
)
def test_the_look_finds_such_patterns(text: str, anywhere: bool) -> None:
    """Those that stood here, by which whoever sent a text held everybody up."""
    one = Written("", re.compile(text), anywhere)
    assert max(map(one.time, attacks(one.pattern))) > MOST
