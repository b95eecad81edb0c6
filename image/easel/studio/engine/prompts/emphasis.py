r"""Emphasis: `(more)`, `(much:1.4)`, `[less]`, escapes, and BREAK.

A1111's wiki, "Features: Attention/emphasis", and its answers. Round and square brackets are matched each for
themselves, so that `(a [b) c]` is understood; a backslash that escapes nothing is dropped; an open bracket
counts to the end. Linear in the prompt's length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

MORE = 1.1
LESS = 1 / 1.1
# beyond this a weight only produces noise, and a few hundred nested brackets would reach infinity
MAX_WEIGHT = 100.0

_PIECES = re.compile(
    r"""
    \\(?P<escaped>[()\[\]\\])
    | (?P<backslash>\\)
    | (?P<open>[(\[])
    | :\s*(?P<weight>[+-]?(?:\d++(?:\.\d*+)?|\.\d++))\s*+\)
    | (?P<close>[)\]])
    | (?P<break>\bBREAK\b)
    | (?P<text>[^\\()\[\]:B]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)


class EmphasisMode(StrEnum):
    """A1111's option `emphasis`."""

    NONE = "None"
    """Brackets, escapes and BREAK are letters."""
    IGNORE = "Ignore"
    """They are read, and weigh nothing."""
    ORIGINAL = "Original"
    """Each chunk of 75 tokens keeps the mean that it had without weights."""
    NO_NORM = "No norm"
    """Weights alone."""


@dataclass(frozen=True)
class Span:
    """A stretch of prompt with one weight. `text` is None for a BREAK, which ends the chunk of 75 tokens."""

    text: str | None
    weight: float = 1.0


def spans(prompt: str, mode: EmphasisMode = EmphasisMode.ORIGINAL) -> list[Span]:
    """Spans of equal weight, in order. A closing bracket without an opening one is text."""
    if mode is EmphasisMode.NONE:
        return [Span(prompt)] if prompt else []
    pieces = list(_PIECES.finditer(prompt))
    factors, closers = _match_brackets(pieces)
    found: list[Span] = []
    # one stack for each shape of bracket: they need not be nested in each other
    weights = {"(": [1.0], "[": [1.0]}
    for index, piece in enumerate(pieces):
        if index in factors:
            stack = weights[piece["open"]]
            stack.append(_bounded(stack[-1] * factors[index]))
        elif index in closers:
            weights[closers[index]].pop()
        elif piece["break"]:
            found.append(Span(None))
        else:
            text = "" if piece["backslash"] else piece["escaped"] or piece[0]
            _append(found, text, _bounded(weights["("][-1] * weights["["][-1]))
    return found


def breaks_in_brackets(prompt: str) -> bool:
    """Whether a BREAK stands in brackets, where A1111 reads it as a word and multiplies its weight."""
    pieces = list(_PIECES.finditer(prompt))
    factors, closers = _match_brackets(pieces)
    depth = 0
    for index, piece in enumerate(pieces):
        depth += (index in factors) - (index in closers)
        if piece["break"] and depth:
            return True
    return False


def _match_brackets(pieces: Sequence[re.Match[str]]) -> tuple[Mapping[int, float], Mapping[int, str]]:
    """By index of the piece: the factor of each opening bracket, and what each closing one closes."""
    factors: dict[int, float] = {}
    closers: dict[int, str] = {}
    opened: dict[str, list[int]] = {"(": [], "[": []}
    for index, piece in enumerate(pieces):
        if piece["open"]:
            opened[piece["open"]].append(index)
            factors[index] = MORE if piece["open"] == "(" else LESS
            continue
        closes = "(" if piece["weight"] or piece["close"] == ")" else "[" if piece["close"] else None
        if closes is None or not opened[closes]:
            continue
        began = opened[closes].pop()
        closers[index] = closes
        if piece["weight"]:
            factors[began] = float(piece["weight"])
    return factors, closers


def _bounded(weight: float) -> float:
    return max(-MAX_WEIGHT, min(MAX_WEIGHT, weight))


def _append(found: list[Span], text: str, weight: float) -> None:
    if found and found[-1].text is not None and found[-1].weight == weight:
        found[-1] = Span(found[-1].text + text, weight)
    else:
        found.append(Span(text, weight))
