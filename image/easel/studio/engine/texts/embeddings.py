"""Textual inversions: a name in the prompt that stands for vectors instead of tokens (arXiv 2208.01618).

Read are A1111's single tensor (`emb_params`), SDXL's pair (`clip_l` and `clip_g`), and diffusers' layout (one
tensor under the placeholder, `<concept>`). The text encoder's width tells what a file was made for. What
OneTrainer adds under `…_out` stands for the encoder's output and is left out; of two terms in one file none
is picked, as in A1111.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from easel.models import Incomplete, ModelFile, read_header
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.networks.bundled_embeddings import part_for, place_of
from easel.studio.engine.networks.extra_networks import EmbeddingUse
from easel.studio.engine.tensors.embedding_tensors import names_for
from easel.studio.engine.tensors.weights import Weights

REMEMBERED = 64
# At the beginning or the end of a name.
_SIGN = re.compile(r"^[^\w\s]|[^\w\s]$")


@dataclass(frozen=True)
class Embedding:
    """Vectors of one textual inversion: for each text encoder (count, width).

    `left_out` names the tensors of the file that are no part of it.
    """

    file: ModelFile
    vectors: tuple[torch.Tensor, ...]
    left_out: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many tokens' places it takes."""
        return len(self.vectors[0])


class Embeddings:
    """The embeddings of one checkpoint, the last few kept. Used from the engine's thread only."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._loaded: OrderedDict[EmbeddingUse, Embedding] = OrderedDict()

    def get(self, use: EmbeddingUse) -> Embedding:
        """The embedding, read if need be. Raises a FileError."""
        if use not in self._loaded:
            self._loaded[use] = load_embedding(use.file, self._checkpoint, use.name if use.bundled else None)
            if len(self._loaded) > REMEMBERED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(use)
        return self._loaded[use]


def load_embedding(file: ModelFile, checkpoint: Checkpoint, bundled: str | None = None) -> Embedding:
    """Read an embedding for `checkpoint`, or the one that a LoRA's file holds under the name `bundled`.

    Raises OtherArchitecture, WrongKind, Incomplete and the like.
    """
    whole = read_header(file.path)
    header, place = (whole, "") if bundled is None else (part_for(whole, bundled), place_of(bundled))
    names = names_for(file, header, checkpoint.family)
    with Weights(file.path, whole) as weights:
        tensors = weights.read(
            [place + name for name in names], device=checkpoint.device, dtype=checkpoint.dtype
        )
    found = [tensors[place + name] for name in names]
    vectors = tuple(one.reshape(-1, one.shape[-1]) for one in found)
    if not all(bool(torch.isfinite(one).all()) for one in vectors):
        raise Incomplete(file.name, "it holds numbers that are none; download it again")
    return Embedding(file, vectors, tuple(name for name in header.tensors if name not in names))


class Names:
    """Finds embeddings' names in a text by its tokens, the longest first, as A1111 does.

    By tokens, a name is found wherever the tokenizer ends a word: behind text without a space, and not within
    another word. Beyond A1111, a name that ends in a sign is found before another sign too: of
    `my style (v2), red` the tokenizer makes one token of `),`.
    """

    def __init__(self, tokenizer: Any, names: Iterable[str]) -> None:
        self._tokenizer = tokenizer
        self._by_first: dict[int, list[tuple[list[int], str]]] = {}
        signs = []
        for name in names:
            ids = self._tokens(name)
            if ids:
                self._by_first.setdefault(ids[0], []).append((ids, name))
                signs += [name] if _SIGN.search(name.strip()) else []
        for found in self._by_first.values():
            found.sort(key=lambda one: (-len(one[0]), one[1]))
        self._signs = re.compile("|".join(map(_apart, sorted(signs, key=len, reverse=True))), re.IGNORECASE)
        self._any_signs = bool(signs)

    def split(self, text: str) -> Iterator[tuple[int, str]]:
        """Each token of the text with "", and for the tokens of a name the first of them with that name."""
        tokens = self._tokens(self._signs.sub(r" \g<0> ", text) if self._any_signs else text)
        place = 0
        while place < len(tokens):
            token = tokens[place]
            for ids, name in self._by_first.get(token, ()):
                if tokens[place : place + len(ids)] == ids:
                    yield token, name
                    place += len(ids)
                    break
            else:
                yield token, ""
                place += 1

    def _tokens(self, text: str) -> list[int]:
        # `verbose=False`: longer than 77 tokens is what chunks are for, not something to warn of
        found: list[int] = self._tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)[
            "input_ids"
        ]
        return found


def _apart(name: str) -> str:
    """Matches a name that begins or ends with a sign: not within a word, nor in a row of the same sign."""
    first, last = name.strip()[0], name.strip()[-1]
    before = r"\w" if first.isalnum() else re.escape(first)
    after = r"\w" if last.isalnum() else re.escape(last)
    return rf"(?<!{before})" + r"\s+".join(map(re.escape, name.split())) + rf"(?!{after})"


class Inserted:
    """Puts embeddings' vectors in the places of tokens while a text encoder runs. A context manager.

    `places` are (row, column, name, number): the vector `number` of the embedding `name` stands there.
    """

    def __init__(
        self,
        encoder: Any,
        index: int,
        embeddings: Mapping[str, Embedding],
        places: Sequence[tuple[int, int, str, int]],
    ) -> None:
        self._encoder = encoder
        self._index = index
        self._embeddings = embeddings
        self._places = places
        self._hook: Any = None

    def __enter__(self) -> None:
        if self._places:
            self._hook = self._encoder.get_input_embeddings().register_forward_hook(self._put)

    def __exit__(self, *_: object) -> None:
        if self._hook is not None:
            self._hook.remove()

    def _put(self, module: object, seen: object, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        for row, column, name, number in self._places:
            output[row, column] = self._embeddings[name].vectors[self._index][number].to(output)
        return output
