"""From words to what the UNet attends to: tokens in chunks of 75, weighted embeddings, pooled embeddings.

Chunking, comma backtracking and the "original" emphasis (scale, then restore the mean) follow A1111's
documented behaviour; clip skip counts as A1111 does, where diffusers counts one less.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from easel.models import Architecture
from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.embeddings import Embedding, Inserted, Names
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.prompt import parse_prompt
from easel.studio.families import Family

CHUNK = 75
# When a chunk is full, what follows a comma among its last 20 tokens moves to the next chunk.
COMMA_BACKTRACK = 20
CACHED_PROMPTS = 64
# Chunks of a prompt, 3000 tokens: every one makes each of the UNet's calls longer, and the encoding.
MAX_CHUNKS = 40
# Numbers beyond every vocabulary stand for vectors of embeddings until the tokens are laid out.
_VECTORS = 1 << 30
_AT_THEIR_LAYER = (Architecture.SD2, Architecture.SD2_V, Architecture.SD2_INPAINT)


@dataclass(frozen=True)
class Conditioning:
    """What one prompt becomes: `tokens` (1, 77·chunks, width); `pooled` (1, width) if a family wants it."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None


@dataclass(frozen=True)
class _Chunk:
    ids: list[int]
    weights: list[float]


@dataclass(frozen=True)
class HowToEncode:
    """What beside a text decides how it is encoded.

    `clip_skip` counts as in A1111; `clip_l_skip` is its option `sdxl_clip_l_skip`. `embeddings` are those
    that the texts name, by names in lower case; `key` tells apart what else the text encoders depend on (the
    LoRAs at work).
    """

    clip_skip: int = 1
    clip_l_skip: bool = False
    embeddings: Mapping[str, Embedding] = field(default_factory=dict)
    key: Hashable = None

    def id(self) -> Hashable:
        """The same for what encodes a text to the same."""
        named = tuple((name, one.file) for name, one in sorted(self.embeddings.items()))
        return self.clip_skip, self.clip_l_skip, named, self.key


_PLAIN = HowToEncode()


class PromptEncoder:
    """Encodes prompts for one checkpoint, and remembers the last few: the negative one is mostly the same."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._cache: OrderedDict[Hashable, Conditioning] = OrderedDict()

    def encode_pair(self, prompt: str, negative: str, how: HowToEncode) -> tuple[Conditioning, Conditioning]:
        """Prompt and negative prompt, padded with empty chunks to the same length.

        Raises InvalidRequest for one of too many tokens.
        """
        counts = {
            name: self._count(text, how.embeddings)
            for name, text in (("prompt", prompt), ("negative_prompt", negative))
        }
        for name, count in counts.items():
            if count > MAX_CHUNKS:
                raise InvalidRequest(
                    name,
                    f"{count} chunks of {CHUNK} tokens",
                    f"up to {MAX_CHUNKS} (a word is a token or two, and BREAK begins a chunk)",
                )
        chunks = max(counts.values())
        away = self.encode(negative, how, chunks)
        if not negative and self._checkpoint.family.zero_empty:
            # SDXL was trained with nothing at all where the text was dropped
            pooled = None if away.pooled is None else torch.zeros_like(away.pooled)
            away = Conditioning(torch.zeros_like(away.tokens), pooled)
        return self.encode(prompt, how, chunks), away

    def encode(self, text: str, how: HowToEncode = _PLAIN, chunks: int = 1) -> Conditioning:
        """One prompt, in at least `chunks` chunks."""
        whole = (text, chunks, how.id())
        if whole in self._cache:
            self._cache.move_to_end(whole)
            return self._cache[whole]
        with torch.inference_mode():
            found = self._encode(text, how, chunks)
        self._cache[whole] = found
        if len(self._cache) > CACHED_PROMPTS:
            self._cache.popitem(last=False)
        return found

    def mentioned(self, texts: Iterable[str], names: Collection[str]) -> set[str]:
        """Those of `names` (of embeddings, in lower case) that stand in one of the texts."""
        known = Names(self._checkpoint.tokenizers[0], names)
        spans = [span.text for text in texts for span in parse_prompt(text) if span.text and names]
        return {name for text in spans for _, name in known.split(text) if name}

    def _count(self, text: str, embeddings: Mapping[str, Embedding]) -> int:
        return len(_chunks(text, self._checkpoint.tokenizers[0], embeddings)[0])

    def _encode(self, text: str, how: HowToEncode, chunks: int) -> Conditioning:
        family = self._checkpoint.family
        parts, pooled = [], None
        pairs = zip(self._checkpoint.tokenizers, self._checkpoint.text_encoders, strict=True)
        for index, (tokenizer, encoder) in enumerate(pairs):
            split, vectors = _chunks(text, tokenizer, how.embeddings)
            split += [_Chunk([], [])] * (chunks - len(split))
            ids, weights = _tensors(split, tokenizer)
            places = [
                (row, column, *vectors[int(ids[row, column]) - _VECTORS])
                for row, column in (ids >= _VECTORS).nonzero().tolist()
            ]
            ids[ids >= _VECTORS] = 0
            with Inserted(encoder, index, how.embeddings, places):
                output = encoder(ids.to(self._checkpoint.device), output_hidden_states=True)
            layers = how.clip_skip if skips_layers(family, index, clip_l_skip=how.clip_l_skip) else 0
            hidden = self._hidden(encoder, output, layers, family.penultimate)
            parts.append(_emphasise(hidden, weights.to(hidden)).reshape(1, -1, hidden.shape[-1]))
            if family.pooled:
                # the last encoder's, from the first chunk, as the published pipelines do
                pooled = output[0][:1]
        return Conditioning(torch.cat(parts, dim=-1), pooled)

    @staticmethod
    def _hidden(encoder: Any, output: Any, clip_skip: int, penultimate: bool) -> torch.Tensor:
        """The layer to attend to; with a `clip_skip` of 0 the family's own.

        SDXL was trained on the one before last, without the final norm. With A1111's option its clip skip
        counts from the last, so that 2 is what it is without.
        """
        if penultimate:
            state: torch.Tensor = output.hidden_states[-(clip_skip or 2)]
            return state
        if clip_skip <= 1:
            last: torch.Tensor = output.last_hidden_state
            return last
        norm = getattr(encoder, "text_model", encoder).final_layer_norm
        skipped: torch.Tensor = norm(output.hidden_states[-clip_skip])
        return skipped


def skips_layers(family: Family, index: int, *, clip_l_skip: bool) -> bool:
    """Whether clip skip counts for the text encoder `index` of a family, as in A1111.

    There it counts for SD 1.x. SD 2.x is always read at the layer it was trained on, as OpenCLIP's encoder of
    SDXL is; OpenAI's encoder of SDXL too, unless the option `sdxl_clip_l_skip` is on.
    """
    if family.penultimate:
        return clip_l_skip and not family.text_encoders[index].open_clip
    return family.architecture not in _AT_THEIR_LAYER


def _chunks(
    text: str, tokenizer: Any, embeddings: Mapping[str, Embedding]
) -> tuple[list[_Chunk], list[tuple[str, int]]]:
    """The tokens of a text in chunks, and what the numbers from _VECTORS on stand for: name and vector."""
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    done: list[_Chunk] = []
    ids: list[int] = []
    weights: list[float] = []
    vectors: list[tuple[str, int]] = []
    names = Names(tokenizer, embeddings)
    for span in parse_prompt(text):
        if span.text is None:
            done.append(_Chunk(ids, weights))
            ids, weights = [], []
            continue
        for token, name in names.split(span.text):
            tokens = [token]
            if name:
                tokens = [_VECTORS + len(vectors) + number for number in range(embeddings[name].count)]
                vectors += [(name, number) for number in range(embeddings[name].count)]
                if len(ids) + len(tokens) > CHUNK:
                    # an embedding is not cut in two
                    done.append(_Chunk(ids, weights))
                    ids, weights = [], []
            for one in tokens:
                if len(ids) == CHUNK:
                    cut = _cut(ids, comma) if one != comma else CHUNK
                    done.append(_Chunk(ids[:cut], weights[:cut]))
                    ids, weights = ids[cut:], weights[cut:]
                ids.append(one)
                weights.append(span.weight)
    if ids or not done:
        done.append(_Chunk(ids, weights))
    return done, vectors


def _cut(ids: list[int], comma: int) -> int:
    for back in range(1, COMMA_BACKTRACK + 1):
        if ids[-back] == comma:
            return len(ids) - back + 1
    return len(ids)


def _tensors(chunks: list[_Chunk], tokenizer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    begin, end, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    ids, weights = [], []
    for chunk in chunks:
        free = CHUNK - len(chunk.ids)
        ids.append([begin, *chunk.ids, end, *[pad] * free])
        weights.append([1.0, *chunk.weights, 1.0, *[1.0] * free])
    return torch.tensor(ids), torch.tensor(weights)


def _emphasise(hidden: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Scale each token's embedding by its weight, then bring the mean back, so that none dims the others."""
    if bool((weights == 1).all()):
        return hidden
    before = hidden.mean()
    weighted = hidden * weights.unsqueeze(-1)
    after = weighted.mean()
    return weighted * (before / after) if bool(after.abs() > 1e-8) else weighted
