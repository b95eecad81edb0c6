"""The text encoders by role."""

from __future__ import annotations

from easel.studio.engine.text_models.clip import ClipText
from easel.studio.engine.text_models.model import TextModel
from easel.studio.engine.text_models.t5 import T5Text


def text_model(family: str, role: str) -> TextModel:
    """What knows the encoder with this role, as far as the family uses it."""
    models: dict[str, TextModel] = {
        "clip-l": ClipText(projected=False),
        "clip-g": ClipText(projected=True),
        "t5-xxl": T5Text(),
    }
    return models[role]
