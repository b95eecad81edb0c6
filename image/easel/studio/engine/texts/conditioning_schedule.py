"""What one picture attends to while it is drawn: a guidance for each call of the backbone, all of one
shape."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from easel.remark import remark
from easel.studio.engine.prompts.schedule import Entry, current
from easel.studio.engine.texts.text_encoding import Conditioning

# Two texts are repeated to a common length up to so many times the longer one's, and to 40 chunks.
_MOST_REPEATED = 4
MAX_LENGTH = 40 * 77
# Tokens that a transformer's texts are filled up to a multiple of.
_ROUND = 64


@dataclass(frozen=True, eq=False)
class Guidance:
    """What one call of the backbone attends to for one picture.

    `tokens` are (rows, 77·chunks, width), the negative prompt's row first if there is one, then a row for
    each part of the prompt, with `weights`; `pooled` (rows, width) if the family wants it. The answers
    combine to `negative + Σ weight·(part - negative)·cfg_scale`. Where rows of a transformer's are of
    different lengths, `mask` (rows, tokens) is True for the tokens that count.
    """

    tokens: torch.Tensor
    pooled: torch.Tensor | None
    weights: tuple[float, ...]
    mask: torch.Tensor | None = None

    @cached_property
    def without_negative(self) -> Guidance:
        """The prompt's rows alone, the same object each time."""
        rows = len(self.weights)
        pooled = None if self.pooled is None else self.pooled[-rows:]
        mask = None if self.mask is None else self.mask[-rows:]
        return Guidance(self.tokens[-rows:], pooled, self.weights, mask)

    @property
    def first(self) -> Guidance:
        """Its first row alone."""
        pooled, mask = (None if one is None else one[:1] for one in (self.pooled, self.mask))
        return Guidance(self.tokens[:1], pooled, (1.0,), mask)


@dataclass(frozen=True)
class Track:
    """What one prompt is, entry by entry."""

    entries: tuple[Entry, ...]
    texts: Mapping[str, Conditioning]

    @property
    def length(self) -> int:
        """Tokens of each of its texts."""
        return next(iter(self.texts.values())).tokens.shape[1]

    def at(self, index: int) -> Conditioning:
        """What the text of an entry became."""
        return self.texts[self.entries[index].text]


class ConditioningSchedule(ABC):
    """What one picture attends to in one pass: all texts are encoded, and every guidance has the same shape.

    `notes` say what is otherwise than whoever asked may expect.
    """

    def __init__(
        self,
        positive: Sequence[Track],
        weights: Sequence[float],
        negative: Track | None,
        notes: Iterable[str] = (),
    ) -> None:
        self.notes = tuple(notes)
        self.weights = tuple(weights)
        self._positive = tuple(positive)
        self._negative = negative
        self._tracks = (*positive, negative) if negative else self._positive
        self._chosen: tuple[int, ...] = ()
        self._guidance: Guidance | None = None

    @property
    def changes(self) -> bool:
        """Whether what is attended to is not the same in every call."""
        return any(len(track.texts) > 1 for track in self._tracks)

    def at(self, call_step: int) -> Guidance:
        """For the network's call of this number, counted from 0. The same object while nothing changes."""
        chosen = tuple(current(track.entries, call_step) for track in self._tracks)
        if self._guidance is None or chosen != self._chosen:
            found = [track.at(index) for track, index in zip(self._positive, chosen, strict=False)]
            away = self._negative.at(chosen[-1]) if self._negative else None
            self._chosen, self._guidance = chosen, self._guided(found, away)
        return self._guidance

    @abstractmethod
    def _guided(self, positive: list[Conditioning], negative: Conditioning | None) -> Guidance:
        """The rows of these in one length."""


class ChunkedSchedule(ConditioningSchedule):
    """Of texts in chunks, as CLIP reads them.

    Within a prompt, shorter texts end in empty chunks; shorter parts repeat their last vector, as in A1111.
    Where prompt and negative prompt differ in length, A1111 calls the UNet once for each; here both are
    repeated up to a common length, which attention answers the same (the softmax shares each weight among
    the copies), or, where that would be too long, the shorter one ends in empty chunks as with
    `pad_cond_uncond`.
    """

    def __init__(
        self,
        positive: Sequence[Track],
        weights: Sequence[float],
        negative: Track | None,
        *,
        empty: Callable[[], torch.Tensor],
        pad: bool,
        notes: Iterable[str] = (),
    ) -> None:
        super().__init__(positive, weights, negative, notes)
        self._own = max(track.length for track in positive)
        lengths = {self._own, *([negative.length] if negative else [])}
        self._length = max(lengths) if pad else _common(lengths)
        self._empty = empty() if self._length % min(lengths) or (pad and len(lengths) > 1) else None
        if self._empty is not None and not pad:
            self.notes += (
                remark(
                    "chunks_filled",
                    "Prompt and negative prompt are {longer} and {shorter} chunks long: "
                    "the shorter one was filled with empty chunks, as A1111 does with pad_cond_uncond only.",
                    about="negative_prompt",
                    longer=max(lengths) // 77,
                    shorter=min(lengths) // 77,
                ),
            )

    def _guided(self, positive: list[Conditioning], negative: Conditioning | None) -> Guidance:
        found, rows = positive, [self._fit(_stretched(one.tokens, self._own)) for one in positive]
        if negative is not None:
            found, rows = [negative, *found], [self._fit(negative.tokens), *rows]
        pooled = [one.pooled for one in found if one.pooled is not None]
        return Guidance(torch.cat(rows), torch.cat(pooled) if pooled else None, self.weights)

    def _fit(self, tokens: torch.Tensor) -> torch.Tensor:
        """One row in the common length."""
        if self._empty is None:
            return tokens.repeat(1, self._length // tokens.shape[1], 1)
        missing = self._length - tokens.shape[1]
        return torch.cat([tokens, self._empty.repeat(1, missing // self._empty.shape[1], 1)], dim=1)


class PaddedSchedule(ConditioningSchedule):
    """Of texts as long as they are, as transformers attend to them: filled up with tokens that do not count,
    to a length that other people's texts have as well, so that theirs share a call."""

    def __init__(
        self,
        positive: Sequence[Track],
        weights: Sequence[float],
        negative: Track | None,
        notes: Iterable[str] = (),
    ) -> None:
        super().__init__(positive, weights, negative, notes)
        every = [one for track in self._tracks for one in track.texts.values()]
        lengths = {one.tokens.shape[1] for one in every}
        self._masked = len(lengths) > 1 or any(one.mask is not None for one in every)
        self._length = -(-max(lengths) // _ROUND) * _ROUND if self._masked else max(lengths)

    def _guided(self, positive: list[Conditioning], negative: Conditioning | None) -> Guidance:
        found = positive if negative is None else [negative, *positive]
        pooled = [one.pooled for one in found if one.pooled is not None]
        return Guidance(
            torch.cat([_filled(one.tokens, self._length) for one in found]),
            torch.cat(pooled) if pooled else None,
            self.weights,
            torch.cat([self._mask(one) for one in found]) if self._masked else None,
        )

    def _mask(self, one: Conditioning) -> torch.Tensor:
        mask = torch.ones_like(one.tokens[..., 0], dtype=torch.bool) if one.mask is None else one.mask
        return _filled(mask, self._length)


def _filled(rows: torch.Tensor, length: int) -> torch.Tensor:
    """Zeros behind the tokens, up to a length."""
    missing = length - rows.shape[1]
    return torch.cat([rows, rows.new_zeros((rows.shape[0], missing, *rows.shape[2:]))], dim=1)


def _stretched(tokens: torch.Tensor, length: int) -> torch.Tensor:
    missing = length - tokens.shape[1]
    return torch.cat([tokens, tokens[:, -1:].expand(-1, missing, -1)], dim=1) if missing else tokens


def _common(lengths: Collection[int]) -> int:
    """The length to which all can be repeated, or else the longest."""
    least = math.lcm(*lengths)
    return least if least <= min(_MOST_REPEATED * max(lengths), MAX_LENGTH) else max(lengths)
