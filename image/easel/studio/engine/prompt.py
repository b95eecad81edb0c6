"""A1111's attention syntax: `(more)`, `(much:1.4)`, `[less]`, escapes, and BREAK.

Written from the published behaviour (research: A1111 wiki "Features: Attention/emphasis"); linear in the
prompt's length, so that ten thousand brackets cost no more than ten thousand letters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MORE = 1.1
LESS = 1 / 1.1
# beyond this a weight only produces noise, and a few hundred nested brackets would reach infinity
MAX_WEIGHT = 100.0

_PIECES = re.compile(
    r"""
    \\(?P<escaped>[()\[\]\\])
    | (?P<open>[(\[])
    | :\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)
    | (?P<close>[)\]])
    | (?P<break>\bBREAK\b)
    | (?P<text>[^\\()\[\]:B]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Span:
    """A stretch of prompt with one weight. `text` is None for a BREAK, which ends the chunk of 75 tokens."""

    text: str | None
    weight: float = 1.0


def parse_prompt(prompt: str) -> list[Span]:
    """Spans of equal weight, in order.

    Brackets that nobody closes count to the end of the prompt; a closing bracket without an opening one is
    text.
    """
    pieces = list(_PIECES.finditer(prompt))
    factors, closers = _match_brackets(pieces)
    spans: list[Span] = []
    weights = [1.0]
    for index, piece in enumerate(pieces):
        if index in factors:
            weights.append(max(-MAX_WEIGHT, min(MAX_WEIGHT, weights[-1] * factors[index])))
        elif index in closers:
            weights.pop()
        elif piece["break"]:
            spans.append(Span(None))
        else:
            _append(spans, piece["escaped"] or piece[0], weights[-1])
    return spans


def _match_brackets(pieces: list[re.Match[str]]) -> tuple[dict[int, float], set[int]]:
    """For each opening bracket (by index of its piece) the factor it applies; and which pieces close one."""
    factors: dict[int, float] = {}
    closers: set[int] = set()
    open_brackets: list[int] = []
    for index, piece in enumerate(pieces):
        if piece["open"]:
            open_brackets.append(index)
            factors[index] = MORE if piece["open"] == "(" else LESS
            continue
        closes = "(" if piece["weight"] or piece["close"] == ")" else "[" if piece["close"] else None
        if closes is None or not open_brackets or pieces[open_brackets[-1]]["open"] != closes:
            continue
        opened = open_brackets.pop()
        closers.add(index)
        if piece["weight"]:
            factors[opened] = float(piece["weight"])
    return factors, closers


def _append(spans: list[Span], text: str, weight: float) -> None:
    if spans and spans[-1].text is not None and spans[-1].weight == weight:
        spans[-1] = Span(spans[-1].text + text, weight)
    else:
        spans.append(Span(text, weight))
