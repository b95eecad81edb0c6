"""The tokens of a text with the weight of each, for encoders that read all of it at once.

The text is split as if it had no brackets, so that `a (red:1.2) cat` is the tokens of `a red cat`; a token
weighs what its first letter weighs.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from easel.studio.engine.prompts.emphasis import EmphasisMode, Span, spans


@dataclass(frozen=True)
class WeighedTokens:
    """`ids` and `weights` of one length, without marks for begin and end."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


def plain(text: str, mode: EmphasisMode) -> str:
    """The text without brackets; BREAK ends no chunk where there is only one, so it is left out."""
    return "".join(span.text or "" for span in _read(text, mode))


def weighs(text: str, mode: EmphasisMode) -> bool:
    """Whether a word of the text has a weight."""
    return any(span.weight != 1 for span in _read(text, mode))


def weighed_tokens(tokenizer: Tokenizer, text: str, mode: EmphasisMode) -> WeighedTokens:
    """The tokens of a text."""
    read = _read(text, mode)
    letters = "".join(span.text or "" for span in read)
    weights = [span.weight for span in read for _ in span.text or ""]
    found = tokenizer.encode(letters, add_special_tokens=False)
    return WeighedTokens(
        tuple(found.ids), tuple(_weight(letters, weights, *place) for place in found.offsets)
    )


def _weight(letters: str, weights: list[float], start: int, end: int) -> float:
    """Of the first letter that is no space: tokens have the space before a word in them."""
    for place in range(start, min(end, len(letters))):
        if not letters[place].isspace():
            return weights[place]
    return weights[start] if start < len(weights) else 1.0


def _read(text: str, mode: EmphasisMode) -> list[Span]:
    read = spans(text, mode)
    if mode is EmphasisMode.IGNORE:
        return [Span(span.text) for span in read]
    return read
