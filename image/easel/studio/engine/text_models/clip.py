"""CLIP's text encoders: OpenAI's L, and OpenCLIP's bigG with its projection (arXiv 2103.00020).

Stable Diffusion 3 was trained on the layer before last of both, and on the pooled vectors: G's projected, L's
not (diffusers' folder has the unit matrix there, ComfyUI's file nothing). Flux takes L's pooled vector alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
from torch import Tensor
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from easel.studio.engine.text_models.names import under_names, without_prefix

LENGTH = 77
"""Tokens that CLIP reads at once, begin and end among them."""


class ClipText:
    """CLIP-L without a projection, or bigG with its own (`projected`)."""

    def __init__(self, *, projected: bool) -> None:
        self._projected = projected

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """See TextModel."""
        kind = CLIPTextModelWithProjection if self._projected else CLIPTextModel
        with torch.device("meta"):
            return kind(CLIPTextConfig(**config))

    def convert(self, tensors: Mapping[str, Tensor], module: Any) -> dict[str, Tensor]:
        """See TextModel. OpenCLIP's own layout (fused q, k, v) is understood too."""
        plain = {without_prefix(name): tensor for name, tensor in tensors.items()}
        if any("transformer.resblocks." in name for name in plain):
            plain = dict(convert_open_clip_checkpoint(module, plain, prefix=""))
        return under_names(plain, module, self._name)

    def _name(self, name: str) -> str:
        # transformers 5.6 flattened `CLIPTextModel`; with a projection it is still wrapped
        inner = name.removeprefix("text_model.")
        if inner.startswith("text_projection"):
            return inner
        return "text_model." * self._projected + inner


def hidden_and_pooled(module: Any, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The layer before last, without the final norm, (rows, tokens, width), and the pooled (rows, width)."""
    output = module(ids, output_hidden_states=True)
    projected = getattr(output, "text_embeds", None)
    return output.hidden_states[-2], output.pooler_output if projected is None else projected
