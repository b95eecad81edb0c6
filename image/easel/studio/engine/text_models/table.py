"""The text encoders by role."""

from __future__ import annotations

from easel.studio.engine.text_models.clip import ClipText
from easel.studio.engine.text_models.mistral3 import Mistral3Text
from easel.studio.engine.text_models.model import TextModel
from easel.studio.engine.text_models.qwen3 import KLEIN_LAYERS, Z_IMAGE_LAYERS, Qwen3Text
from easel.studio.engine.text_models.qwen25_vl import Qwen25Text
from easel.studio.engine.text_models.qwen25_vl_pictures import Qwen25PicturesText
from easel.studio.engine.text_models.t5 import T5Text


def text_model(family: str, role: str) -> TextModel:
    """What knows the encoder with this role, as far as the family uses it."""
    qwen3 = Qwen3Text(KLEIN_LAYERS if family.startswith("flux2-klein") else Z_IMAGE_LAYERS)
    models: dict[str, TextModel] = {
        "clip-l": ClipText(projected=False),
        "clip-g": ClipText(projected=True),
        "t5-xxl": T5Text(),
        "qwen3-4b": qwen3,
        "qwen3-8b": qwen3,
        "qwen2.5-vl-7b": Qwen25PicturesText() if family == "qwen-image-edit" else Qwen25Text(),
        "mistral-small-24b": Mistral3Text(),
    }
    return models[role]
