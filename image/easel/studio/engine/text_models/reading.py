"""How texts are read: what beside the words decides what they become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer

from easel.remark import Remark, remark
from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.text_models import vocabularies

_TOKENIZERS = {
    "clip-l": vocabularies.clip,
    "clip-g": vocabularies.clip,
    "t5-xxl": vocabularies.t5,
    "qwen3-4b": vocabularies.qwen3,
    "qwen3-8b": vocabularies.qwen3,
    "qwen2.5-vl-7b": vocabularies.qwen25,
}


@dataclass(frozen=True)
class Reading:
    """The encoders of one checkpoint, by role, and how they are asked.

    An encoder is None where there is none (Stable Diffusion 3's T5). `tokenizers` are those that are not in
    the package, by role. `most` is the family's longest text in tokens, `width` that of the tokens which its
    transformer takes. `about` is the field of the request that the texts come from. `pictures` are those
    that a family looks at while it reads, `numbered` if it was trained to tell them by number
    (Qwen-Image-Edit since version 2509).
    """

    encoders: Mapping[str, Any]
    device: torch.device
    most: int
    width: int
    emphasis: EmphasisMode = EmphasisMode.ORIGINAL
    about: str = "prompt"
    tokenizers: Mapping[str, Tokenizer] | None = None
    pictures: tuple[Image.Image, ...] = ()
    numbered: bool = False

    def tokenizer(self, role: str) -> Tokenizer:
        """The tokenizer of the encoder with this role."""
        given = (self.tokenizers or {}).get(role)
        return given if given is not None else _TOKENIZERS[role]()

    def tensor(self, ids: list[int]) -> torch.Tensor:
        """Tokens as an encoder takes them, (1, tokens)."""
        return torch.tensor([ids], device=self.device)

    def left_out(self, count: int, most: int, encoder: str) -> tuple[Remark, ...]:
        """What is said of a text of `count` tokens."""
        if count <= most:
            return ()
        words = "{encoder} reads {most} tokens of a text; the last {n} of {count} were left out."
        said = remark(
            "text_cut", words, about=self.about, encoder=encoder, most=most, n=count - most, count=count
        )
        return (said,)
