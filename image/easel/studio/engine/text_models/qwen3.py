"""Qwen3 (arXiv 2505.09388), which Z-Image and FLUX.2 [klein] read with."""

from __future__ import annotations

from transformers.models.qwen3.configuration_qwen3 import Qwen3Config
from transformers.models.qwen3.modeling_qwen3 import Qwen3Model

from easel.studio.engine.text_models.decoder import DecoderText

PAD = 151643
Z_IMAGE_LAYERS = (-2,)
KLEIN_LAYERS = (9, 18, 27)


class Qwen3Text(DecoderText):
    """Without the head; `layers` are those that a family attends to."""

    def __init__(self, layers: tuple[int, ...]) -> None:
        super().__init__(Qwen3Model, Qwen3Config, layers)


def asked(text: str, *, thinks: bool) -> str:
    """A text as its user's words, and its answer begun: `thinks` leaves it to think, else it has thought."""
    thought = "" if thinks else "<think>\n\n</think>\n\n"
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n{thought}"
