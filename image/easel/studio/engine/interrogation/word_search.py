"""The words that a language model most likely goes on with: greedy, or by a search along several beams, one
token at a time, so that others get their turn between two. The arithmetic is transformers' `generate`, which
keeps a thread from the first token to the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Score = Callable[[Tensor, Tensor], Tensor]
"""Logits (rows, words) of what follows: the tokens that are new (rows, n), and for each row the row of the
call before that it goes on from."""


class WordSearch:
    """Goes on from `prompt` until `end`, which does not come before `shortest` tokens, or `longest`: both
    with those of the prompt. With `beams` 1 the likeliest word is taken each time."""

    def __init__(
        self, score: Score, prompt: Sequence[int], end: int, *, beams: int, shortest: int, longest: int
    ) -> None:
        self._score, self._end, self._beams = score, end, beams
        self._shortest, self._longest, self._prompt = shortest, longest, len(prompt)
        self._rows: list[tuple[float, list[int]]] = [(0.0, list(prompt))]
        self._new, self._from = [list(prompt)], [0]
        self._finished: list[tuple[float, list[int]]] = []

    @property
    def length(self) -> int:
        """Tokens by now, with those of the prompt."""
        return len(self._rows[0][1]) if self._rows else self._longest

    def step(self) -> list[int] | None:
        """One token more. Behind the last all of them, without the prompt's and the end."""
        likely = self._likely()
        going_on: list[tuple[float, list[int]]] = []
        self._new, self._from = [], []
        for rank, (value, row, token) in enumerate(likely):
            tokens = [*self._rows[row][1], token]
            if token == self._end or len(tokens) >= self._longest:
                if rank < self._beams:
                    self._finished.append((value / (len(tokens) - self._prompt), tokens))
            elif len(going_on) < self._beams:
                going_on.append((value, tokens))
                self._new.append([token])
                self._from.append(row)
        self._rows = going_on
        self._finished = sorted(self._finished, key=lambda one: -one[0])[: self._beams]
        return self._best() if self._over else None

    @torch.inference_mode()
    def _likely(self) -> list[tuple[float, int, int]]:
        """The likeliest ways on: how likely altogether, from which row, by which token."""
        logits = self._score(torch.tensor(self._new), torch.tensor(self._from))
        scores = logits.float().cpu().log_softmax(dim=-1)
        if self.length < self._shortest:
            scores[:, self._end] = -torch.inf
        scores += torch.tensor([value for value, _ in self._rows])[:, None]
        # twice as many as beams, for half of them may end
        values, places = scores.flatten().topk(min(scores.numel(), 2 * self._beams if self._beams > 1 else 1))
        found = zip(values.tolist(), places.tolist(), strict=True)
        return [(value, *divmod(place, scores.shape[1])) for value, place in found]

    @property
    def _over(self) -> bool:
        """Nothing goes on, or nothing that does can become likelier than what is finished."""
        if not self._rows:
            return True
        if len(self._finished) < self._beams:
            return False
        return self._rows[0][0] / (self.length - self._prompt) <= self._finished[-1][0]

    def _best(self) -> list[int]:
        tokens = self._finished[0][1][self._prompt :]
        return tokens[:-1] if tokens and tokens[-1] == self._end else tokens
