"""The tokenizers, read from the package once, the first time one is wanted: no hub is asked for them.

None is ever changed (no truncation or padding of its own), so that threads may share them.
"""

from __future__ import annotations

import gzip
from functools import cache
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from transformers.models.clip.tokenization_clip import CLIPTokenizer

from easel.studio.engine.text_models.byte_letters import letters
from easel.studio.families import HERE, TOKENIZER_FOLDER

_FOLDER = HERE / "tokenizers"
# GPT-4's, but for numbers, which are split into digits.
_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# In the order of their numbers, which follow those of the vocabulary. True: it stands for no words.
_QWEN_ADDED = (
    ("<|endoftext|>", True),
    ("<|im_start|>", True),
    ("<|im_end|>", True),
    ("<|object_ref_start|>", True),
    ("<|object_ref_end|>", True),
    ("<|box_start|>", True),
    ("<|box_end|>", True),
    ("<|quad_start|>", True),
    ("<|quad_end|>", True),
    ("<|vision_start|>", True),
    ("<|vision_end|>", True),
    ("<|vision_pad|>", True),
    ("<|image_pad|>", True),
    ("<|video_pad|>", True),
    ("<tool_call>", False),
    ("</tool_call>", False),
    ("<|fim_prefix|>", False),
    ("<|fim_middle|>", False),
    ("<|fim_suffix|>", False),
    ("<|fim_pad|>", False),
    ("<|repo_name|>", False),
    ("<|file_sep|>", False),
)
_QWEN3_ADDED = (
    ("<tool_response>", False),
    ("</tool_response>", False),
    ("<think>", False),
    ("</think>", False),
)


@cache
def clip() -> Tokenizer:
    """CLIP's, which L and G share; they differ in what they pad with."""
    whole: Any = CLIPTokenizer(
        vocab=str(TOKENIZER_FOLDER / "vocab.json"), merges=str(TOKENIZER_FOLDER / "merges.txt")
    )
    found: Tokenizer = whole.backend_tokenizer
    return found


@cache
def t5() -> Tokenizer:
    """T5's (SentencePiece, 32,100 pieces)."""
    return Tokenizer.from_str(gzip.decompress((_FOLDER / "t5" / "tokenizer.json.gz").read_bytes()).decode())


@cache
def qwen25() -> Tokenizer:
    """Qwen2.5's, of Qwen2.5-VL."""
    return _qwen(_QWEN_ADDED)


@cache
def qwen3() -> Tokenizer:
    """Qwen3's: the same words, and marks for thinking."""
    return _qwen(_QWEN_ADDED + _QWEN3_ADDED)


def _qwen(added: tuple[tuple[str, bool], ...]) -> Tokenizer:
    packed = (_FOLDER / "qwen" / "merges.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    merges = [(first, second) for first, _, second in (line.partition(" ") for line in lines)]
    # a token's number is its rank: first the bytes in GPT-2's order, then each merge's
    words = {byte: number for number, byte in enumerate(letters().values())}
    words |= {first + second: number for number, (first, second) in enumerate(merges, start=len(words))}
    made = Tokenizer(BPE(vocab=words, merges=merges))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    for token, special in added:
        made.add_tokens([AddedToken(token, special=special, normalized=False)])
    return made
