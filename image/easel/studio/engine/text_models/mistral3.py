"""Mistral Small 3 (24B), which FLUX.2 [dev] reads with."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from torch import Tensor
from transformers.models.mistral.configuration_mistral import MistralConfig
from transformers.models.mistral.modeling_mistral import MistralModel

from easel.remark import remark
from easel.studio.engine.text_models.byte_letters import letters
from easel.studio.engine.text_models.decoder import DecoderText
from easel.studio.engine.text_models.names import without_prefix

LAYERS = (10, 20, 30)
BEGIN = 1
PAD = 11
# As in FLUX.2's own repository, its line break too.
_SYSTEM = (
    "You are an AI that reasons about image descriptions. You give structured responses focusing on object "
    "relationships, object\nattribution and actions without speculation."
)


class Mistral3Text(DecoderText):
    """The part that reads, without the head and what sees pictures."""

    def __init__(self) -> None:
        super().__init__(MistralModel, MistralConfig, LAYERS)

    def convert(self, tensors: Mapping[str, Tensor], module: Any) -> dict[str, Tensor]:
        """See TextModel. llama.cpp has a head's queries and keys in another order than transformers."""
        heads = {
            ".attn_q.weight": module.config.num_attention_heads,
            ".attn_k.weight": module.config.num_key_value_heads,
        }
        whole = dict(tensors)
        for name, tensor in tensors.items():
            for end, count in heads.items():
                if without_prefix(name).startswith("blk.") and name.endswith(end):
                    whole[name] = _halves(tensor, count)
        return super().convert(whole, module)


def _halves(tensor: Tensor, heads: int) -> Tensor:
    """From rows in pairs, as llama.cpp turns them, to first halves and second halves of each head."""
    pairs = tensor.reshape(heads, -1, 2, *tensor.shape[1:])
    return pairs.transpose(1, 2).reshape(tensor.shape)


def asked(text: str) -> str:
    """A text as FLUX.2 asks it. A word for a picture in it would be taken for one."""
    return f"[SYSTEM_PROMPT]{_SYSTEM}[/SYSTEM_PROMPT][INST]{text.replace('[IMG]', '')}[/INST]"


def tokenizer_beside(file: Path, held: Tensor | None) -> Tokenizer:
    """The tokenizer for the encoder in `file`: what it holds of it itself (the tensor `tekken_model` of
    ComfyUI's file), else `tekken.json` or `tokenizer.json` beside it, or in the folder `tokenizer` beside its
    folder, where diffusers keeps it.

    Raises ValueError, in words, where there is none that can be read.
    """
    if held is not None:
        return tokenizer_of(held.to(torch.uint8).cpu().numpy().tobytes())
    for name in ("tekken.json", "tokenizer.json", "../tokenizer/tokenizer.json"):
        path = file.parent / name
        if path.is_file():
            return tokenizer_of(path.read_bytes())
    words = (
        "Mistral's tokenizer is not in it, and no package may carry it: take ComfyUI's file of the encoder, "
        "which holds it, or put Mistral's tekken.json beside it"
    )
    raise ValueError(remark("no_mistral_tokenizer", words))


def tokenizer_of(tekken: bytes) -> Tokenizer:
    """Mistral's tokenizer from its own file, `tekken.json` (in ComfyUI's file of the encoder: the tensor
    `tekken_model`), or from a `tokenizer.json` of the tokenizers library.

    Raises ValueError for anything else.
    """
    try:
        read = json.loads(tekken)
        if "config" not in read:
            return Tokenizer.from_str(tekken.decode())
        return _of_tekken(read)
    except Exception as error:
        words = "Mistral's tokenizer cannot be read from the file ({why})"
        raise ValueError(remark("no_tekken", words, why=str(error)[:200])) from None


def _of_tekken(read: Mapping[str, Any]) -> Tokenizer:
    config = read["config"]
    special = int(config["default_num_special_tokens"])
    ranks = {
        base64.b64decode(one["token_bytes"]): int(one["rank"])
        for one in read["vocab"][: int(config["default_vocab_size"]) - special]
    }
    table = letters()
    spelled = {token: "".join(table[byte] for byte in token) for token in ranks}
    pairs = sorted(
        (ranks[token], ranks[token[:cut]], ranks[token[cut:]], spelled[token[:cut]], spelled[token[cut:]])
        for token in ranks
        for cut in range(1, len(token))
        if token[:cut] in ranks and token[cut:] in ranks
    )
    words = {spelled[token]: special + rank for token, rank in ranks.items()}
    named = {int(one["rank"]): str(one["token_str"]) for one in read.get("special_tokens") or ()}
    marks = [named.get(rank, f"<SPECIAL_{rank}>") for rank in range(special)]
    words |= {mark: rank for rank, mark in enumerate(marks)}
    made = Tokenizer(BPE(vocab=words, merges=[(one, two) for *_, one, two in pairs], ignore_merges=True))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(config["pattern"]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    return made
