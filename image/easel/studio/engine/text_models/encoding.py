"""Texts through a family's encoders: the very embeddings that diffusers' pipelines give its transformer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from easel.studio.engine.text_models.clip_and_t5 import chroma, flux, stable_diffusion_3
from easel.studio.engine.text_models.language_models import (
    flux2,
    flux2_klein,
    qwen_image,
    qwen_image_edit,
    z_image,
)
from easel.studio.engine.text_models.model import EncodedText
from easel.studio.engine.text_models.reading import Reading

_FAMILIES: Mapping[str, Callable[[str, Reading], EncodedText]] = {
    **dict.fromkeys(("sd3", "sd35-medium", "sd35-large"), stable_diffusion_3),
    **dict.fromkeys(("flux-dev", "flux-schnell", "flux-fill", "flux-kontext"), flux),
    "chroma": chroma,
    **dict.fromkeys(("z-image", "z-image-turbo"), z_image),
    **dict.fromkeys(("flux2-klein-4b", "flux2-klein-9b"), flux2_klein),
    "flux2": flux2,
    "qwen-image": qwen_image,
    "qwen-image-edit": qwen_image_edit,
}


@torch.inference_mode()
def encode_texts(family: str, texts: Sequence[str], reading: Reading) -> list[EncodedText]:
    """Each text as the family's transformer takes it; each is encoded by itself, so that company changes no
    bit of it. `family` is the value of its architecture."""
    return [_FAMILIES[family](text, reading) for text in texts]
