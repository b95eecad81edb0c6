"""T5's encoder (arXiv 1910.10683; version 1.1, XXL), the large text encoder of SD3, Flux.1 and Chroma."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5EncoderModel

from easel.studio.engine.text_models.names import by_pieces, under_names

PAD = 0
END = 1
_WORDS = "shared.weight"
_GGUF_BLOCK = re.compile(r"^enc\.blk\.(\d+)\.(.+)$")
_GGUF_PIECES = {
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "attn_norm": "layer.0.layer_norm",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
    "ffn_norm": "layer.1.layer_norm",
}
_GGUF_WHOLE = {"token_embd.weight": _WORDS, "enc.output_norm.weight": "encoder.final_layer_norm.weight"}


class T5Text:
    """T5EncoderModel."""

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """See TextModel."""
        with torch.device("meta"):
            return T5EncoderModel(T5Config(**config))

    def convert(self, tensors: Mapping[str, Tensor], module: Any) -> dict[str, Tensor]:
        """See TextModel. The vectors of words stand in the module twice, and in files once or twice."""
        found = under_names(tensors, module, _name)
        words = [name for name in (_WORDS, "encoder.embed_tokens.weight") if name in found]
        if words:
            found |= {_WORDS: found[words[0]], "encoder.embed_tokens.weight": found[words[0]]}
        return found


def _name(name: str) -> str:
    block = _GGUF_BLOCK.match(name)
    if block:
        return f"encoder.block.{block[1]}." + by_pieces(block[2], _GGUF_PIECES)
    return _GGUF_WHOLE.get(name, name)


def hidden(module: Any, ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """What it says of each token, (rows, tokens, width)."""
    states: Tensor = module(ids, attention_mask=mask).last_hidden_state
    return states
