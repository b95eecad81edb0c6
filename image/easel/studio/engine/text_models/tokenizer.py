"""CLIP's tokenizer (byte pairs; arXiv 2103.00020), which all families share, from files in the package."""

from __future__ import annotations

from functools import cache
from typing import Any

from transformers.models.clip.tokenization_clip import CLIPTokenizer

from easel.studio.families import TOKENIZER_FOLDER


class PaddedWithZero(CLIPTokenizer):  # type: ignore[misc]
    """Pads with token 0, as OpenCLIP's text encoders were trained.

    Token 0 is "!" without a word's end. Declaring it the pad token, as the published configurations do, makes
    every "!" of a prompt a padding token, which is not what those encoders saw in training; so only the
    number is changed.
    """

    @property
    def pad_token_id(self) -> int:
        """Always 0."""
        return 0


def load_tokenizer(pad_token: str) -> Any:
    """A CLIP tokenizer whose `pad_token_id` is that of "!" (0) or "<|endoftext|>" (49407).

    Local files only.
    """
    kind = PaddedWithZero if pad_token == "!" else CLIPTokenizer  # noqa: S105 - no password
    return kind(
        vocab=str(TOKENIZER_FOLDER / "vocab.json"),
        merges=str(TOKENIZER_FOLDER / "merges.txt"),
        model_max_length=77,
    )


@cache
def shared_tokenizer(pad_token: str) -> Any:
    """The one that all checkpoints read with: one for each took 60 ms of a load, and 9 MB.

    For the engine's thread alone, which asks it for plain token numbers: how it pads and cuts is kept within.
    """
    return load_tokenizer(pad_token)
