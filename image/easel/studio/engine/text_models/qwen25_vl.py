"""Qwen2.5-VL (arXiv 2502.13923), which Qwen-Image reads with, and looks at pictures with to change them."""

from __future__ import annotations

from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel

from easel.studio.engine.text_models.decoder import DecoderText

DROPPED = 34
"""Tokens of what it is told before the words; the transformer is not shown them."""
_TOLD = (
    "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships "
    "of the objects and background:"
)


class Qwen25Text(DecoderText):
    """The part that reads, without the head and what sees pictures."""

    def __init__(self) -> None:
        super().__init__(Qwen2_5_VLTextModel, Qwen2_5_VLTextConfig, (-1,))


def asked(text: str) -> str:
    """A text as Qwen-Image asks it."""
    return (
        f"<|im_start|>system\n{_TOLD}<|im_end|>\n<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    )
