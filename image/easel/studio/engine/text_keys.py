"""What the UNet's attentions to texts make of them: keys and values, computed once while the texts stay.

A text is the same at each of a picture's steps, and so is what `to_k` and `to_v` of each layer make of it
with the networks that are at work. It is computed for each picture by itself, as alone, whoever shares its
call.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F

from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.control_models.image_prompt_file import cross_attentions
from easel.studio.engine.memory.device_memory import share_of
from easel.studio.engine.texts.conditioning_schedule import Guidance

# The most that is kept: a share of the GPU's memory, or so many bytes of the machine's. A picture of SDXL
# with two rows of 77 tokens has 51 MB in half precision, one of SD 1.x 8 MB.
GPU_SHARE = 0.04
CPU_BYTES = 500_000_000

_Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class _Kept:
    """Of each attention, with the networks that were at work."""

    networks: Hashable
    pairs: tuple[_Pair, ...]


class TextKeys:
    """Those of one checkpoint's pictures under way. What nobody attends to any more is gone by itself. Used
    from the engine's thread only."""

    def __init__(self, checkpoint: Checkpoint, budget: int | None = None) -> None:
        """`budget` are the most bytes that are kept."""
        # a transformer changes what a text is from layer to layer
        found = cross_attentions(checkpoint.backbone) if checkpoint.family.flow is None else ()
        self._attentions = [one for _, one in found]
        self._numbers: int = 2 * sum(one.to_k.out_features for one in self._attentions)
        self._budget = share_of(checkpoint.device, GPU_SHARE, CPU_BYTES) if budget is None else budget
        self._kept: WeakKeyDictionary[Guidance, _Kept] = WeakKeyDictionary()

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept."""
        return sum(map(self._bytes, self._kept))

    def read(self, guidance: Guidance, networks: Hashable) -> None:
        """Have what the attentions make of these texts, if there is room for it. The networks at work are
        those that `networks` tells apart."""
        kept = self._kept.get(guidance)
        if kept is not None and kept.networks == networks:
            return
        self._kept.pop(guidance, None)
        if self.nbytes + self._bytes(guidance) <= self._budget:
            tokens = guidance.tokens
            pairs = tuple((one.to_k(tokens), one.to_v(tokens)) for one in self._attentions)
            self._kept[guidance] = _Kept(networks, pairs)

    @contextmanager
    def at_work(self, guidances: Sequence[Guidance]) -> Iterator[None]:
        """Within this, the UNet attends to what was read of them, in a call for all of them in this order;
        where one was not read, it computes all itself."""
        kept = [self._kept[one] for one in guidances if one in self._kept]
        found = zip(*(one.pairs for one in kept), strict=True) if len(kept) == len(guidances) else ()
        before = [one.processor for one in self._attentions]
        try:
            for attention, pairs in zip(self._attentions, found, strict=False):
                attention.processor = _KnownTexts(pairs)
            yield
        finally:
            for attention, processor in zip(self._attentions, before, strict=True):
                attention.processor = processor

    def let_go(self) -> bool:
        """Forget all, and keep nothing more: there is no memory for it. Whether there was any."""
        there = bool(self._kept)
        self._kept.clear()
        self._budget = 0
        return there

    def _bytes(self, guidance: Guidance) -> int:
        rows, length, _ = guidance.tokens.shape
        numbers: int = rows * length * self._numbers
        return numbers * guidance.tokens.element_size()


class _KnownTexts:
    """An attention that has its keys and values, and else computes as diffusers' AttnProcessor2_0 does."""

    def __init__(self, pairs: Sequence[_Pair]) -> None:
        self._pairs = pairs

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        alone = len(self._pairs) == 1
        key, value = self._pairs[0] if alone else map(torch.cat, zip(*self._pairs, strict=True))
        query = attn.to_q(hidden_states)
        parts = (one.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for one in (query, key, value))
        found = F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        answer: torch.Tensor = attn.to_out[0](found)
        return answer
