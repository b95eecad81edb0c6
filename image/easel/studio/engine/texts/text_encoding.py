"""Texts through a checkpoint's text encoders: clip skip, embeddings, and the weight of each token.

Clip skip counts as A1111 does, where diffusers counts one less. Emphasis scales what an encoder says of a
token; A1111's "Original" then restores the mean of each chunk of 75 tokens, over all texts of one schedule.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import torch
from PIL.Image import Image

from easel.models import Architecture
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.texts.embeddings import Embedding, Inserted
from easel.studio.engine.texts.token_chunks import COMMA_BACKTRACK, TokenChunks
from easel.studio.families import Family

# Chunks in one call of a text encoder: each layer of a call is kept, 6 MB for each chunk with SDXL.
_TOGETHER = 40
_AT_THEIR_LAYER = (Architecture.SD2, Architecture.SD2_V, Architecture.SD2_INPAINT)


@dataclass(frozen=True)
class Conditioning:
    """What one text becomes: `tokens` (1, 77·chunks, width); `pooled` (1, width) if a family wants it.

    Of a transformer's text encoders there are as many tokens as the text has, and of those that only fill a
    length up `mask` (1, tokens) is False; None where all count.
    """

    tokens: torch.Tensor
    pooled: torch.Tensor | None
    mask: torch.Tensor | None = None


@dataclass(frozen=True)
class HowToEncode:
    """What beside a text decides how it is encoded.

    `clip_skip` counts as in A1111; `clip_l_skip` is its option `sdxl_clip_l_skip`. `embeddings` are those
    that the texts name, by names in lower case; `key` tells apart what else the text encoders depend on (the
    LoRAs at work). `comma_backtrack` is `comma_padding_backtrack`, `emphasis` the option of that name. With
    `pad_cond_uncond` the shorter of prompt and negative prompt ends in empty chunks. `pictures` are those
    that a model which edits looks at while it reads.
    """

    clip_skip: int = 1
    clip_l_skip: bool = False
    embeddings: Mapping[str, Embedding] = field(default_factory=dict)
    key: Hashable = None
    emphasis: EmphasisMode = EmphasisMode.ORIGINAL
    comma_backtrack: int = COMMA_BACKTRACK
    pad_cond_uncond: bool = False
    pictures: tuple[Image, ...] = ()

    def id(self) -> Hashable:
        """The same for what encodes a text to the same."""
        named = tuple((name, one.file) for name, one in sorted(self.embeddings.items()))
        seen = tuple(sha256(one.tobytes()).digest() for one in self.pictures)
        return (
            self.clip_skip, self.clip_l_skip, named, self.key, self.emphasis, self.comma_backtrack, seen
        )  # fmt: skip

    def chunks(self, text: str, tokenizer: Any) -> TokenChunks:
        """The tokens of a text."""
        return TokenChunks(
            text, tokenizer, self.embeddings, mode=self.emphasis, backtrack=self.comma_backtrack
        )


@torch.inference_mode()
def encoded(checkpoint: Checkpoint, texts: Mapping[str, int], how: HowToEncode) -> list[Conditioning]:
    """The texts of one schedule, each with how often it stands in it. All are as long as the longest."""
    counts = torch.tensor(list(texts.values()), dtype=torch.float32, device=checkpoint.device)
    widths, pooled = [], None
    for index in range(len(checkpoint.text_encoders)):
        laid = [how.chunks(text, checkpoint.tokenizers[index]) for text in texts]
        hidden, pooled, weights = _through(checkpoint, index, laid, how)
        if how.emphasis is not EmphasisMode.IGNORE:
            hidden = _weighted(hidden, weights.to(hidden), counts, how.emphasis)
        widths.append(hidden.reshape(len(laid), -1, hidden.shape[-1]))
    # of several encoders the last one's
    rows = [None] * len(texts) if pooled is None else pooled.chunk(len(texts))
    tokens = torch.cat(widths, dim=-1).chunk(len(texts))
    return [Conditioning(*both) for both in zip(tokens, rows, strict=True)]


def _through(
    checkpoint: Checkpoint, index: int, laid: Sequence[TokenChunks], how: HowToEncode
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """Tokens through one encoder: (texts, chunks, 77, width), pooled (texts, width) or None, and weights."""
    family, encoder = checkpoint.family, checkpoint.text_encoders[index]
    layers = how.clip_skip if skips_layers(family, index, clip_l_skip=how.clip_l_skip) else 0
    chunks = max(map(len, laid))
    hidden, pooled, weights = [], [], []
    step = max(1, _TOGETHER // chunks)
    for first in range(0, len(laid), step):
        some = laid[first : first + step]
        both = [one.tensors(chunks) for one in some]
        ids = torch.cat([ids for ids, _ in both]).to(checkpoint.device)
        places = [place for row, one in enumerate(some) for place in one.places(row * chunks)]
        with Inserted(encoder, index, how.embeddings, places):
            output = encoder(ids, output_hidden_states=True)
        hidden.append(_hidden(encoder, output, layers, family.penultimate))
        # from the first chunk, as the published pipelines do
        pooled.append(output[0][::chunks])
        weights += [weights for _, weights in both]
    found = torch.cat(hidden)
    return (
        found.reshape(len(laid), chunks, *found.shape[1:]),
        torch.cat(pooled) if family.pooled else None,
        torch.stack(weights),
    )


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


def _weighted(
    hidden: torch.Tensor, weights: torch.Tensor, counts: torch.Tensor, mode: EmphasisMode
) -> torch.Tensor:
    """Scale each token by its weight; `hidden` is (texts, chunks, 77, width), `weights` lack the width.

    "Original" then brings each chunk's mean back to what it was. It is the mean over all texts of a
    schedule, since A1111 encodes them as one batch: a text that stands twice in it counts twice.
    """
    if bool((weights == 1).all()):
        return hidden
    weighted = hidden * weights.unsqueeze(-1)
    if mode is EmphasisMode.NO_NORM:
        return weighted
    before, after = (
        (one.float().mean(dim=(2, 3)) * counts.unsqueeze(1)).sum(dim=0) for one in (hidden, weighted)
    )
    # a chunk without weights keeps every bit
    changed = (weights != 1).any(dim=2).any(dim=0) & (after.abs() > 1e-8)
    ratio = torch.where(changed, before / after, torch.ones_like(after))
    return weighted * ratio.to(weighted).reshape(1, -1, 1, 1)


def skips_layers(family: Family, index: int, *, clip_l_skip: bool) -> bool:
    """Whether clip skip counts for the text encoder `index` of a family, as in A1111.

    There it counts for SD 1.x. SD 2.x is always read at the layer it was trained on, as OpenCLIP's encoder of
    SDXL is; OpenAI's encoder of SDXL too, unless the option `sdxl_clip_l_skip` is on.
    """
    if family.penultimate:
        return clip_l_skip and not family.text_encoders[index].open_clip
    return family.architecture not in _AT_THEIR_LAYER
