"""CLIP ViT-L/14 (arXiv 2103.00020): which words of a list fit a picture, by transformers' own model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from easel.studio.engine.control.clip_view import clip_view
from easel.studio.engine.control.published_model import filled, layers
from easel.studio.engine.interrogation.word_lists import WordList
from easel.studio.engine.text_models.tokenizer import load_tokenizer

AT_ONCE = 64
"""Words that are looked at in one turn of the device."""
_HEAD = 64
# What OpenAI's code multiplies likeness by.
_SHARP = 100.0
_MOST_KEPT = 20
_NOT_WEIGHTS = "position_ids"


class Ranker(nn.Module):
    """The network, from a file in transformers' names. What it knows of words is kept, for they are the same
    with the next picture."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        from transformers import CLIPModel

        super().__init__()
        found = {name: one for name, one in tensors.items() if not name.endswith(_NOT_WEIGHTS)}
        self.model = filled(CLIPModel, _config(found), found)
        self._tokenizer = load_tokenizer("<|endoftext|>")
        self._known: dict[tuple[str, ...], Tensor] = {}

    def see(self, image: Image.Image) -> Tensor:
        """What it sees in a picture (RGB): (1, width), of length 1."""
        pixels = torch.from_numpy(clip_view(image, self.model.config.vision_config.image_size))[None]
        seen = self.model.vision_model(pixels.to(self._device)).pooler_output
        return nn.functional.normalize(self.model.visual_projection(seen), dim=-1)

    def known(self, words: tuple[str, ...]) -> Tensor | None:
        """What they mean, where it has read them before."""
        return self._known.get(words)

    def read(self, words: Sequence[str]) -> Tensor:
        """What words mean: (words, width), each of length 1."""
        # what follows a text's end counts for nothing: no more is computed than the longest takes
        tokens = self._tokenizer(list(words), padding=True, truncation=True, return_tensors="pt")
        meant = self.model.text_model(input_ids=tokens["input_ids"].to(self._device)).pooler_output
        return nn.functional.normalize(self.model.text_projection(meant), dim=-1)

    def keep(self, words: tuple[str, ...], meaning: Tensor) -> None:
        """Remember what they mean, in the place of what was asked for longest ago."""
        while len(self._known) >= _MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[words] = meaning

    @property
    def _device(self) -> torch.device:
        device: torch.device = self.model.device
        return device


def best(seen: Tensor, meant: Tensor, asked: WordList) -> list[tuple[str, float]]:
    """The words of a list, which mean this, that fit best what is seen; and how much each does among all,
    0 to 1."""
    likeness = (_SHARP * seen @ meant.T).softmax(dim=-1)[0]
    sure, places = likeness.topk(min(asked.most, len(asked.words)))
    return [(asked.words[place], one) for one, place in zip(sure.tolist(), places.tolist(), strict=True)]


def _config(tensors: Mapping[str, Tensor]) -> Any:
    """As wide and deep as the file."""
    from transformers import CLIPConfig

    shapes = {name: tuple(one.shape) for name, one in tensors.items()}
    words, width = shapes["text_model.embeddings.token_embedding.weight"]
    wide, _, patch, _ = shapes["vision_model.embeddings.patch_embedding.weight"]
    places = shapes["vision_model.embeddings.position_embedding.weight"][0] - 1
    return CLIPConfig(
        text_config={
            **_transformer(shapes, "text_model", width), "vocab_size": words,
            "max_position_embeddings": shapes["text_model.embeddings.position_embedding.weight"][0],
            "eos_token_id": words - 1, "bos_token_id": words - 2,
        },
        vision_config={
            **_transformer(shapes, "vision_model", wide), "patch_size": patch,
            "image_size": round(places**0.5) * patch,
        },
        projection_dim=shapes["text_projection.weight"][0],
    )  # fmt: skip


def _transformer(shapes: Mapping[str, tuple[int, ...]], part: str, width: int) -> dict[str, int]:
    start = f"{part}.encoder.layers."
    return {
        "hidden_size": width, "num_attention_heads": max(1, width // _HEAD),
        "intermediate_size": shapes[f"{start}0.mlp.fc1.weight"][0],
        "num_hidden_layers": layers(shapes, start),
    }  # fmt: skip
