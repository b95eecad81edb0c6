"""A text as tokens in chunks of 75, which is what CLIP reads at once beside a begin and an end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from easel.studio.engine.prompts.emphasis import EmphasisMode, spans
from easel.studio.engine.texts.embeddings import Embedding, Names

CHUNK = 75
COMMA_BACKTRACK = 20
"""A1111's `comma_padding_backtrack`: of a full chunk, what follows a comma among its last tokens moves on."""
# Numbers beyond every vocabulary stand for vectors of embeddings until the tokens are laid out.
_VECTORS = 1 << 30


@dataclass
class _Chunk:
    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def cut(self, length: int) -> _Chunk:
        """Take off and return what is beyond `length` tokens."""
        rest = _Chunk(self.ids[length:], self.weights[length:])
        del self.ids[length:], self.weights[length:]
        return rest


class TokenChunks:
    """The tokens of one text for one tokenizer, with the weight of each."""

    def __init__(
        self,
        text: str,
        tokenizer: Any,
        embeddings: Mapping[str, Embedding],
        *,
        mode: EmphasisMode = EmphasisMode.ORIGINAL,
        backtrack: int = COMMA_BACKTRACK,
    ) -> None:
        self._tokenizer = tokenizer
        self._backtrack = backtrack
        self._comma = tokenizer.convert_tokens_to_ids(",</w>")
        self._vectors: list[tuple[str, int]] = []
        self._done = [_Chunk()]
        names = Names(tokenizer, embeddings)
        for span in spans(text, mode):
            if span.text is None:
                self._done.append(_Chunk())
                continue
            for token, name in names.split(span.text):
                self._put(token, span.weight, name, embeddings[name].count if name else 1)
        if len(self._done) > 1 and not self._done[-1].ids:
            # a BREAK at the end begins nothing
            self._done.pop()

    def __len__(self) -> int:
        return len(self._done)

    @property
    def in_last(self) -> int:
        """Tokens in the last chunk."""
        return len(self._done[-1].ids)

    def tensors(self, chunks: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and weights, (chunks, 77), with empty chunks behind those of the text."""
        begin, end = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        ids, weights = [], []
        for chunk in [*self._done, *[_Chunk()] * (chunks - len(self._done))]:
            free = CHUNK - len(chunk.ids)
            ids.append([begin, *chunk.ids, end, *[self._tokenizer.pad_token_id] * free])
            weights.append([1.0, *chunk.weights, 1.0, *[1.0] * free])
        found = torch.tensor(ids)
        found[found >= _VECTORS] = 0
        return found, torch.tensor(weights)

    def places(self, first_row: int) -> list[tuple[int, int, str, int]]:
        """Where vectors of embeddings stand: (row, column, name, number of the vector)."""
        return [
            (first_row + row, column, *self._vectors[token - _VECTORS])
            for row, chunk in enumerate(self._done)
            for column, token in enumerate(chunk.ids, start=1)
            if token >= _VECTORS
        ]

    def _put(self, token: int, weight: float, name: str, count: int) -> None:
        chunk = self._done[-1]
        if len(chunk.ids) == CHUNK:
            rest = _Chunk() if token == self._comma else chunk.cut(self._behind_comma(chunk.ids))
            self._done.append(rest)
        tokens = [token]
        if name:
            if self._done[-1].ids and len(self._done[-1].ids) + count > CHUNK:
                # an embedding is not cut in two
                self._done.append(_Chunk())
            tokens = [_VECTORS + len(self._vectors) + number for number in range(count)]
            self._vectors += [(name, number) for number in range(count)]
        for one in tokens:
            if len(self._done[-1].ids) == CHUNK:
                self._done.append(_Chunk())
            self._done[-1].ids.append(one)
            self._done[-1].weights.append(weight)

    def _behind_comma(self, ids: list[int]) -> int:
        for back in range(1, min(self._backtrack, len(ids)) + 1):
            if ids[-back] == self._comma:
                return len(ids) - back + 1
        return len(ids)
