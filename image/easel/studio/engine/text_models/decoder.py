"""Language models whose layers are attended to: what Qwen3's, Qwen2.5's and Mistral's have in common.

A layer counts as in transformers' `hidden_states`: 0 is the vectors of words, -1 the last behind the final
norm, -2 the one before last. Layers behind the last that is wanted are neither built nor read: of Qwen3's 36
FLUX.2 [klein] needs 27, of Mistral's 40 FLUX.2 [dev] needs 30 (its file by ComfyUI has no more).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from easel.studio.engine.text_models.names import by_pieces, under_names

# "model." of a model with a head; "language_model." of one that sees pictures too, outside of the former in
# transformers' old order, within it in the new one
_BEFORE = re.compile(r"^(?:model\.language_model\.|language_model\.model\.|language_model\.|model\.)")
_GGUF_BLOCK = re.compile(r"^blk\.(\d+)\.(.+)$")
_GGUF_PIECES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_GGUF_WHOLE = {"token_embd.weight": "embed_tokens.weight", "output_norm.weight": "norm.weight"}


class DecoderText:
    """One kind of language model, up to the last of `layers`."""

    def __init__(self, kind: type[Any], config_kind: type[Any], layers: Sequence[int]) -> None:
        self._kind = kind
        self._config_kind = config_kind
        self._layers = layers

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """See TextModel. Of a model that sees pictures too, the part that reads."""
        text = dict(config.get("text_config") or config)
        every = int(text["num_hidden_layers"])
        last = max(layer if layer >= 0 else every + 1 + layer for layer in self._layers)
        text["num_hidden_layers"] = last
        if text.get("layer_types"):
            text["layer_types"] = text["layer_types"][:last]
        with torch.device("meta"):
            module = self._kind(self._config_kind.from_dict(text))
        if last < every:
            # the norm behind the last layer is not what stands behind this one
            module.norm = nn.Identity()
        return module

    def convert(self, tensors: Mapping[str, Tensor], module: Any) -> dict[str, Tensor]:
        """See TextModel."""
        return under_names(tensors, module, decoder_name)


def decoder_name(name: str) -> str:
    """A published name of a tensor as it is within the part that reads."""
    block = _GGUF_BLOCK.match(name)
    if block:
        return f"layers.{block[1]}." + by_pieces(block[2], _GGUF_PIECES)
    return _GGUF_WHOLE.get(name) or _BEFORE.sub("", name)


def states(module: Any, ids: Tensor, layers: Sequence[int] = (-1,), mask: Tensor | None = None) -> Tensor:
    """What these layers say of each token, side by side, (rows, tokens, layers · width).

    -1 is the last layer that the module has.
    """
    output = module(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
    return torch.cat([output.hidden_states[layer] for layer in layers], dim=-1)
