"""Which families have a transformer, and what knows their way with it."""

from __future__ import annotations

from collections.abc import Mapping

from easel.models import Architecture
from easel.studio.engine.transformers.chroma import ChromaModel
from easel.studio.engine.transformers.flux import FluxModel
from easel.studio.engine.transformers.flux2 import Flux2Model
from easel.studio.engine.transformers.model import TransformerModel
from easel.studio.engine.transformers.qwen_image import QwenImageModel
from easel.studio.engine.transformers.sd3 import SD3Model
from easel.studio.engine.transformers.z_image import ZImageModel

TRANSFORMERS: Mapping[Architecture, TransformerModel] = {
    Architecture.SD3: SD3Model(),
    Architecture.SD35_MEDIUM: SD3Model(),
    Architecture.SD35_LARGE: SD3Model(),
    Architecture.FLUX_DEV: FluxModel(),
    Architecture.FLUX_SCHNELL: FluxModel(),
    Architecture.FLUX_FILL: FluxModel(),
    Architecture.FLUX_KONTEXT: FluxModel(),
    Architecture.CHROMA: ChromaModel(),
    Architecture.Z_IMAGE: ZImageModel(),
    Architecture.Z_IMAGE_TURBO: ZImageModel(),
    Architecture.FLUX2: Flux2Model(),
    Architecture.FLUX2_KLEIN_4B: Flux2Model(),
    Architecture.FLUX2_KLEIN_9B: Flux2Model(),
    Architecture.QWEN_IMAGE: QwenImageModel(),
    Architecture.QWEN_IMAGE_EDIT: QwenImageModel(),
}


def transformer_of(architecture: Architecture) -> TransformerModel:
    """Its family's."""
    return TRANSFORMERS[architecture]
