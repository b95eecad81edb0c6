"""How many tokens a text is for a family, and how many it reads: for the page, without a checkpoint.

None of these families reads in chunks: what is beyond the limit is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from easel.studio.engine.prompts.emphasis import EmphasisMode
from easel.studio.engine.text_models import mistral3, qwen3, vocabularies
from easel.studio.engine.text_models.weighed_tokens import plain

_T5 = ("sd3", "sd35-medium", "sd35-large", "flux-dev", "flux-schnell", "flux-fill", "flux-kontext", "chroma")
_QWEN25 = ("qwen-image", "qwen-image-edit")
_KLEIN = ("flux2-klein-4b", "flux2-klein-9b")


@dataclass(frozen=True)
class FamilyTokens:
    """`count` tokens of the words, of the `limit` that are read."""

    count: int
    limit: int


def family_tokens(
    family: str,
    text: str,
    most: int,
    emphasis: EmphasisMode = EmphasisMode.ORIGINAL,
    mistral: Tokenizer | None = None,
) -> FamilyTokens | None:
    """The words of a text as they are counted where the family reads it; `most` are all tokens that it reads.

    Brackets count for nothing, nor does what a language model is told around the words. None for FLUX.2 [dev]
    without its tokenizer, `mistral`: it comes with the weights. SD3 counts as T5 does, which reads the most.
    """
    words = plain(text, emphasis)
    if family in _T5:
        # the end is one
        return FamilyTokens(_count(vocabularies.t5(), words), most - 1)
    if family in _QWEN25:
        return FamilyTokens(_count(vocabularies.qwen25(), words), most)
    if family == "flux2":
        if mistral is None:
            return None
        around = _count(mistral, mistral3.asked("")) + 1
        return FamilyTokens(_count(mistral, words), most - around)
    around = _count(vocabularies.qwen3(), qwen3.asked("", thinks=family not in _KLEIN))
    return FamilyTokens(_count(vocabularies.qwen3(), words), most - around)


def _count(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)
