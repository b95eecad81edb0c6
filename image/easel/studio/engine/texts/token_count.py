"""How many tokens a prompt is, while it is typed: counted as it is drawn, without a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from easel.models import FileError, Store, read_header
from easel.studio.engine.networks.extra_networks import understand
from easel.studio.engine.prompts.comments import strip_comments
from easel.studio.engine.prompts.composition import parts
from easel.studio.engine.prompts.schedule import readings
from easel.studio.engine.tensors.embedding_tensors import vectors_of
from easel.studio.engine.text_models.tokenizer import load_tokenizer
from easel.studio.engine.texts.conditioning import MAX_CHUNKS
from easel.studio.engine.texts.embeddings import Embedding
from easel.studio.engine.texts.token_chunks import CHUNK, TokenChunks

_WORDS = re.compile(r"[^\s,]{1,20},?|,")
"""What is looked at as a whole: half a word may be more tokens than all of it."""


@dataclass(frozen=True)
class TokenCount:
    """`count` tokens of the `limit` that the chunks begun so far hold, as A1111 shows it ("80/150").

    `breaks` are places in the text, in characters, where a chunk of 75 is full and the next begins; none
    where words of the text change from step to step, for there the chunks do too.
    """

    count: int
    limit: int
    breaks: tuple[int, ...] = ()


def count_tokens(prompt: str, store: Store) -> TokenCount:
    """The longest of what the prompt says at any step; wildcards count as they are written.

    Raises InvalidRequest for a prompt that cannot be drawn.
    """
    asked = understand(strip_comments(prompt), "", store)
    embeddings = {}
    for use in asked.embeddings:
        try:
            vectors = max(count for count, _ in vectors_of(use.file, read_header(use.file.path)).values())
        except (FileError, ValueError):  # it is told when it is drawn with
            continue
        embeddings[use.name.lower()] = Embedding(use.file, (torch.empty(vectors, 1, device="meta"),))
    texts = [said for part in parts(asked.prompt) for said in _said(part.text)]
    longest = max((_chunks(text, embeddings) for text in texts), key=_length)
    as_written = asked.prompt == prompt and len(texts) == 1
    breaks = _breaks(prompt, embeddings, len(longest)) if as_written else ()
    return TokenCount(_length(longest), len(longest) * CHUNK, breaks)


def _said(text: str) -> list[str]:
    """What it says at one step or another. The text with its brackets counts only where it has no such."""
    first, *others = readings(text)
    return others or [first]


def _length(chunks: TokenChunks) -> int:
    return (len(chunks) - 1) * CHUNK + chunks.in_last


def _chunks(text: str, embeddings: Mapping[str, Embedding]) -> TokenChunks:
    return TokenChunks(text, _tokenizer(), embeddings)


def _breaks(text: str, embeddings: Mapping[str, Embedding], chunks: int) -> tuple[int, ...]:
    """For each chunk that can be drawn but the first, the shortest beginning of the text that needs it, to a
    word's start. Looked for from the last one on: from the text's beginning it would take its square."""
    words = [word.span() for word in _WORDS.finditer(text)] or [(0, len(text))]
    found: list[int] = []
    begin = 0
    for number in range(1, min(chunks, MAX_CHUNKS)):
        low, high = begin, begin + CHUNK
        while high < len(words) and len(_chunks(text[: words[high][1]], embeddings)) <= number:
            low, high = high + 1, high + 2 * (high - begin)
        high = min(high, len(words) - 1)
        while low < high:
            middle = (low + high) // 2
            if len(_chunks(text[: words[middle][1]], embeddings)) > number:
                high = middle
            else:
                low = middle + 1
        begin = low
        found.append(words[low][0] or words[low][1])
    return tuple(found)


@cache
def _tokenizer() -> Any:
    """One of its own: the engine's thread has others, and they are not asked at the same time."""
    return load_tokenizer("<|endoftext|>")
