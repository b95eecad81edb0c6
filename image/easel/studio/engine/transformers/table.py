"""Which families have a transformer, and what knows their way with it."""

from __future__ import annotations

from collections.abc import Mapping

from easel.models import Architecture
from easel.studio.engine.transformers.chroma import Chroma
from easel.studio.engine.transformers.flux import Flux
from easel.studio.engine.transformers.flux2 import Flux2
from easel.studio.engine.transformers.model import TransformerModel
from easel.studio.engine.transformers.qwen_image import QwenImage
from easel.studio.engine.transformers.sd3 import StableDiffusion3
from easel.studio.engine.transformers.z_image import ZImage

TRANSFORMERS: Mapping[Architecture, TransformerModel] = {
    Architecture.SD3: StableDiffusion3(),
    Architecture.SD35_MEDIUM: StableDiffusion3(),
    Architecture.SD35_LARGE: StableDiffusion3(),
    Architecture.FLUX_DEV: Flux(),
    Architecture.FLUX_SCHNELL: Flux(),
    Architecture.FLUX_FILL: Flux(),
    Architecture.FLUX_KONTEXT: Flux(),
    Architecture.CHROMA: Chroma(),
    Architecture.Z_IMAGE: ZImage(),
    Architecture.Z_IMAGE_TURBO: ZImage(),
    Architecture.FLUX2: Flux2(),
    Architecture.FLUX2_KLEIN_4B: Flux2(),
    Architecture.FLUX2_KLEIN_9B: Flux2(),
    Architecture.QWEN_IMAGE: QwenImage(),
    Architecture.QWEN_IMAGE_EDIT: QwenImage(),
}


def transformer_of(architecture: Architecture) -> TransformerModel:
    """Its family's."""
    return TRANSFORMERS[architecture]
