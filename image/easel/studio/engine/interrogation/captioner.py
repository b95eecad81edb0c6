"""BLIP (Li et al., arXiv 2201.12086): a picture in a sentence, by transformers' own model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from easel.studio.engine.control.published_model import layers
from easel.studio.engine.interrogation.question import Interrogation
from easel.studio.engine.interrogation.word_search import WordSearch

_VOCABULARY = Path(__file__).parent / "bert" / "vocab.txt"
# Each sentence goes on from these, and is told without them.
_PROMPT = ("a", "picture", "of")
# Two words that BLIP has beside BERT's: where it decodes from is one of them.
_BEGINS, _MORE_WORDS = 30522, 2
_MEANS, _DEVIATIONS = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HEAD = 64
# Names of Salesforce's own file, and transformers' for the same, one after the other.
_NAMES = (
    (r"^visual_encoder\.patch_embed\.proj\.", "vision_model.embeddings.patch_embedding."),
    (r"^visual_encoder\.pos_embed$", "vision_model.embeddings.position_embedding"),
    (r"^visual_encoder\.cls_token$", "vision_model.embeddings.class_embedding"),
    (r"^visual_encoder\.norm\.", "vision_model.post_layernorm."),
    (r"^visual_encoder\.blocks\.(\d+)\.", r"vision_model.encoder.layers.\1."),
    (r"(^vision_model\.encoder\.layers\.\d+)\.attn\.qkv\.", r"\1.self_attn.qkv."),
    (r"(^vision_model\.encoder\.layers\.\d+)\.attn\.proj\.", r"\1.self_attn.projection."),
    (r"(^vision_model\.encoder\.layers\.\d+)\.norm(\d)\.", r"\1.layer_norm\2."),
)
_NOT_WEIGHTS = "position_ids"
_MARK = re.compile(r"\[\w+\]")  # [SEP] and its like, which are no words


class Captioner(nn.Module):
    """The network, from a file in Salesforce's names or in transformers'."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        from transformers import BlipForConditionalGeneration

        super().__init__()
        found = {_name(name): one for name, one in tensors.items() if not name.endswith(_NOT_WEIGHTS)}
        self.model = BlipForConditionalGeneration(_config(found))
        missing, unknown = self.model.load_state_dict(found, strict=False)
        # the last layer's weights are the first one's, and need not be in the file
        missing = [one for one in missing if not one.startswith("text_decoder.cls.predictions.decoder.")]
        if missing or unknown:
            raise ValueError(f"{(missing or unknown)[0]} is {'missing' if missing else 'not known'}")
        self.model.tie_weights()

    def see(self, image: Image.Image) -> Tensor:
        """What it sees in a picture (RGB): (1, places, width)."""
        side = self.model.config.vision_config.image_size
        square = image.resize((side, side), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.asarray(square, np.float32) / 255).permute(2, 0, 1)[None]
        means, deviations = (torch.tensor(one).reshape(1, 3, 1, 1) for one in (_MEANS, _DEVIATIONS))
        seen: Tensor = self.model.vision_model(((pixels - means) / deviations).to(self._device))[0]
        return seen

    def search(self, seen: Tensor, asked: Interrogation) -> WordSearch:
        """The search for the sentence of what was seen."""
        words = vocabulary()
        prompt = [_BEGINS, *(words.index(one) for one in _PROMPT)]
        return WordSearch(
            _Decoder(self.model.text_decoder, seen).score, prompt, words.index("[SEP]"),
            beams=asked.beams, shortest=asked.shortest, longest=asked.longest,
        )  # fmt: skip

    @property
    def _device(self) -> torch.device:
        device: torch.device = self.model.device
        return device


class _Decoder:
    """What follows, of what was seen; what it has been shown is remembered."""

    def __init__(self, model: Any, seen: Tensor) -> None:
        self._model, self._seen, self._past = model, seen, None

    def score(self, tokens: Tensor, rows: Tensor) -> Tensor:
        """See `word_search.Score`."""
        device = self._seen.device
        if self._past is not None:
            self._past.reorder_cache(rows.to(device))
        answer = self._model(
            tokens.to(device), encoder_hidden_states=self._seen, past_key_values=self._past, use_cache=True
        )
        self._past = answer.past_key_values
        logits: Tensor = answer.logits[:, -1]
        return logits


@cache
def vocabulary() -> list[str]:
    """BERT's word pieces by their numbers (uncased)."""
    return _VOCABULARY.read_text("utf-8").splitlines()


def sentence(tokens: list[int]) -> str:
    """The words of tokens."""
    from tokenizers import decoders

    words = vocabulary()
    pieces = [words[one] for one in tokens if one < len(words) and not _MARK.fullmatch(words[one])]
    found: str = decoders.WordPiece(prefix="##", cleanup=True).decode(pieces)
    return found.strip()


def _name(name: str) -> str:
    for pattern, ours in _NAMES:
        name = re.sub(pattern, ours, name)
    return name


def _config(tensors: Mapping[str, Tensor]) -> Any:
    """As wide and deep as the file. BLIP was published in two sizes, with heads of 64."""
    from transformers import BlipConfig

    vision, text = "vision_model.encoder.layers.", "text_decoder.bert.encoder.layer."
    patch = tensors["vision_model.embeddings.patch_embedding.weight"]
    places = tensors["vision_model.embeddings.position_embedding"].shape[1] - 1
    words, width = tensors["text_decoder.bert.embeddings.word_embeddings.weight"].shape
    if words != len(vocabulary()) + _MORE_WORDS:
        raise ValueError(f"it knows {words} words, and BERT's are {len(vocabulary())}")
    wide = patch.shape[0]
    return BlipConfig(
        vision_config={
            "hidden_size": wide, "intermediate_size": tensors[f"{vision}0.mlp.fc1.weight"].shape[0],
            "num_hidden_layers": layers(tensors, vision), "num_attention_heads": max(1, wide // _HEAD),
            "image_size": round(places**0.5) * patch.shape[-1], "patch_size": patch.shape[-1],
            "layer_norm_eps": 1e-6,
        },
        text_config={
            "vocab_size": words, "hidden_size": width, "encoder_hidden_size": wide,
            "intermediate_size": tensors[f"{text}0.intermediate.dense.weight"].shape[0],
            "num_hidden_layers": layers(tensors, text), "num_attention_heads": max(1, width // _HEAD),
            "max_position_embeddings": tensors["text_decoder.bert.embeddings.position_embeddings.weight"]
            .shape[0],
        },
    )  # fmt: skip
