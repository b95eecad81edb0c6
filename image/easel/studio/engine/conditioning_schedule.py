"""What one picture attends to while it is drawn: a guidance for each call of the UNet, all of one shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from easel.remark import remark
from easel.studio.engine.prompts.schedule import Entry, current
from easel.studio.engine.text_encoding import Conditioning

# Two texts are repeated to a common length up to so many times the longer one's, and to 40 chunks.
_MOST_REPEATED = 4
MAX_LENGTH = 40 * 77


@dataclass(frozen=True, eq=False)
class Guidance:
    """What one call of the UNet attends to for one picture.

    `tokens` are (rows, 77·chunks, width), the negative prompt's row first if there is one, then a row for
    each part of the prompt, with `weights`; `pooled` (rows, width) if the family wants it. The answers
    combine to `negative + Σ weight·(part - negative)·cfg_scale`.
    """

    tokens: torch.Tensor
    pooled: torch.Tensor | None
    weights: tuple[float, ...]

    @cached_property
    def without_negative(self) -> Guidance:
        """The prompt's rows alone, the same object each time."""
        rows = len(self.weights)
        pooled = None if self.pooled is None else self.pooled[-rows:]
        return Guidance(self.tokens[-rows:], pooled, self.weights)


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


class ConditioningSchedule:
    """What one picture attends to in one pass: all texts are encoded, and every guidance has the same shape.

    Within a prompt, shorter texts end in empty chunks; shorter parts repeat their last vector, as in A1111.
    Where prompt and negative prompt differ in length, A1111 calls the UNet once for each; here both are
    repeated up to a common length, which attention answers the same (the softmax shares each weight among
    the copies), or, where that would be too long, the shorter one ends in empty chunks as with
    `pad_cond_uncond`. `notes` say what is otherwise than A1111 does.
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
        self.notes = tuple(notes)
        self.weights = tuple(weights)
        self._positive = tuple(positive)
        self._negative = negative
        self._tracks = (*positive, negative) if negative else self._positive
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
        self._chosen: tuple[int, ...] = ()
        self._guidance: Guidance | None = None

    @property
    def changes(self) -> bool:
        """Whether what is attended to is not the same in every call."""
        return any(len(track.texts) > 1 for track in self._tracks)

    def at(self, call_step: int) -> Guidance:
        """For the UNet's call of this number, counted from 0. The same object while nothing changes."""
        chosen = tuple(current(track.entries, call_step) for track in self._tracks)
        if self._guidance is None or chosen != self._chosen:
            self._chosen, self._guidance = chosen, self._at(chosen)
        return self._guidance

    def _at(self, chosen: tuple[int, ...]) -> Guidance:
        found = [track.at(index) for track, index in zip(self._positive, chosen, strict=False)]
        rows = [self._fit(_stretched(one.tokens, self._own)) for one in found]
        if self._negative:
            away = self._negative.at(chosen[-1])
            found, rows = [away, *found], [self._fit(away.tokens), *rows]
        pooled = [one.pooled for one in found if one.pooled is not None]
        return Guidance(torch.cat(rows), torch.cat(pooled) if pooled else None, self.weights)

    def _fit(self, tokens: torch.Tensor) -> torch.Tensor:
        """One row in the common length."""
        if self._empty is None:
            return tokens.repeat(1, self._length // tokens.shape[1], 1)
        missing = self._length - tokens.shape[1]
        return torch.cat([tokens, self._empty.repeat(1, missing // self._empty.shape[1], 1)], dim=1)


def _stretched(tokens: torch.Tensor, length: int) -> torch.Tensor:
    missing = length - tokens.shape[1]
    return torch.cat([tokens, tokens[:, -1:].expand(-1, missing, -1)], dim=1) if missing else tokens


def _common(lengths: Collection[int]) -> int:
    """The length to which all can be repeated, or else the longest."""
    least = math.lcm(*lengths)
    return least if least <= min(_MOST_REPEATED * max(lengths), MAX_LENGTH) else max(lengths)
