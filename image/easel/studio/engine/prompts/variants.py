r"""Variants: `{red|green}` and `__colours__`, words that each picture chooses for itself.

The syntax is that of the extension sd-dynamic-prompts.

    {a|b|c}            one of them, each as likely; `{0.5::a|b}` gives weights
    {2$$a|b|c}         two different ones with ", " between; `{1-2$$…}`, `{-2$$…}`, `{1-$$…}`, `{2$$ and $$…}`
    __name__           a line of the text file of that name; `__a/b__` in folders, `__a*__` of several files
    {2$$__name__}      two different lines

They may stand in each other, and in the lines of files. A `|` within `[…]` is the alternation's. Braces that
choose nothing (`{a}`, `{}`, one that nobody closes) are text, as is `\{`, and as are that extension's
variables, `%{…}` and comments. Linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

SEPARATOR = ", "
_PIECES = re.compile(
    r"""
    (?P<sign>[{}|\[\]])
    | __(?P<how>[~@!]?)(?P<name>[^\s_{}|$\#()<>:,~@!](?:(?!__)[^\n{}|$\#()<>:,]){0,200})__
    | (?P<text>\\.|[^\\{}|\[\]_]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COUNT = re.compile(
    r"\s*+(?P<how>[~@!]?)\s*+(?:(?P<exact>\d{1,4})|(?P<low>\d{0,4})-(?P<high>\d{0,4}))\$\$"
    r"(?:(?P<separator>[^${}]*)\$\$)?"
)
_WEIGHT = re.compile(r"\s*(?P<weight>\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})::")
_MOST = 9999


@dataclass(frozen=True, slots=True, eq=False)
class Wildcard:
    """`__name__`; `written` is the whole of it."""

    name: str
    written: str
    how: str = ""


@dataclass(slots=True, eq=False)
class VariantOption:
    """One of several texts, and how likely it is beside the others."""

    items: list[Item]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """From `low` to `high` of the options; `how` is `~`, `@` or `!` where that was written."""

    options: list[VariantOption]
    # The whole source and where it stands there: a slice for each nested one would be the square of the text.
    _source: str
    _begin: int
    _end: int
    low: int = 1
    high: int = 1
    separator: str = SEPARATOR
    how: str = ""

    @property
    def written(self) -> str:
        """The text that it was."""
        return self._source[self._begin : self._end]

    @property
    def wildcard(self) -> Wildcard | None:
        """The wildcard that alone stands in it, whose lines are meant then."""
        only = self.options[0].items
        found = only[0] if len(self.options) == 1 and len(only) == 1 else None
        return found if isinstance(found, Wildcard) else None


Choice = Wildcard | Variant
Item = str | Choice


@dataclass(slots=True)
class _Frame:
    begin: int
    options: list[list[Item]] = field(default_factory=lambda: [[]])


def read(text: str) -> list[Item]:
    """A text with its choices. Two passes: which brackets are closed, then what stands in them."""
    pieces = list(_PIECES.finditer(text))
    closed = _matched(pieces)
    frames = [_Frame(0)]
    inside = [""]
    for index, piece in enumerate(pieces):
        sign = piece["sign"] if index in closed or piece["sign"] == "|" else ""
        here = frames[-1].options
        if sign == "{":
            frames.append(_Frame(piece.start()))
        elif sign == "}":
            frame = frames.pop()
            _put_behind(frames[-1].options, _closed(frame, text, piece.end()))
        elif sign == "|" and inside[-1] == "{":
            here.append([])
        elif piece["name"]:
            here[-1].append(Wildcard(piece["name"], piece[0], piece["how"]))
        else:
            here[-1].append(piece[0])
        if sign in ("{", "["):
            inside.append(sign)
        elif sign in ("}", "]"):
            inside.pop()
    return frames[0].options[0]


def _put_behind(options: list[list[Item]], closed: list[Item]) -> None:
    """What was closed, behind what stands there: the shorter goes to the longer, for braces in braces that
    choose nothing would each copy all that is within."""
    here = options[-1]
    if len(here) >= len(closed):
        here += closed
    else:
        closed[:0] = here
        options[-1] = closed


def option(items: list[Item]) -> VariantOption:
    """An option with the weight that it begins with."""
    weight = _WEIGHT.match(leading(items))
    return (
        VariantOption(_without(items, weight.end()), float(weight["weight"]))
        if weight
        else VariantOption(items)
    )


def leading(items: Sequence[Item]) -> str:
    """The text with which items begin."""
    return "".join(one for one in takewhile(_is_text, items) if isinstance(one, str))


def _matched(pieces: Sequence[re.Match[str]]) -> set[int]:
    """The pieces that are brackets of a pair. A brace that closes another passes over open `[`."""
    found: set[int] = set()
    opened: list[int] = []
    braces = 0
    for index, piece in enumerate(pieces):
        sign = piece["sign"]
        if sign in ("{", "["):
            opened.append(index)
            braces += sign == "{"
        elif sign == "}" and braces:
            while pieces[opened[-1]]["sign"] == "[":
                opened.pop()
            found |= {opened.pop(), index}
            braces -= 1
        elif sign == "]" and opened and pieces[opened[-1]]["sign"] == "[":
            found |= {opened.pop(), index}
    return found


def _closed(frame: _Frame, source: str, end: int) -> list[Item]:
    """What a pair of braces is: a choice, or text."""
    first = frame.options[0]
    # no brace is a part of it, and what is behind one need not be put together, brace by brace
    count = _COUNT.match("".join(takewhile(_is_plain, first)))  # type: ignore[arg-type]
    lone = len(first) == 1 and isinstance(first[0], Wildcard)
    if len(frame.options) == 1 and not count and not lone:
        first.insert(0, "{")
        first.append("}")
        return first
    if not count:
        return [Variant([option(items) for items in frame.options], source, frame.begin, end)]
    frame.options[0] = _without(first, count.end())
    options = [option(items) for items in frame.options]
    separator = SEPARATOR if count["separator"] is None else count["separator"]
    # what is not said is one and all, as in dynamicprompts
    low, high = int(count["exact"] or count["low"] or 1), int(count["exact"] or count["high"] or _MOST)
    return [Variant(options, source, frame.begin, end, low, high, separator, count["how"])]


def _without(items: list[Item], length: int) -> list[Item]:
    text = leading(items)
    rest = items[sum(1 for _ in takewhile(_is_text, items)) :]
    return [text[length:], *rest] if len(text) > length else rest


def _is_text(item: Item) -> bool:
    return isinstance(item, str)


def _is_plain(item: Item) -> bool:
    return isinstance(item, str) and item not in ("{", "}")
