"""Which family a folder of diffusers' layout holds: its pipeline's class and its transformer's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from easel.models.errors import UnknownArchitecture
from easel.models.family_names import Architecture
from easel.models.transformer_architecture import DRAWN, FLUX2_WIDTHS

Config = Mapping[str, Any]


def architecture_of_config(pipeline: str, config: Config, name: str) -> Architecture:
    """The family, the first of a pair with the same configuration. `pipeline` is one of `PIPELINES`.

    Raises UnknownArchitecture for a variant that the studio does not draw with.
    """
    found = PIPELINES[pipeline](config)
    if found is None:
        raise UnknownArchitecture(
            name,
            f"its transformer is a variant for {pipeline} that the studio does not draw with; it draws with "
            f"{DRAWN}",
        )
    return found


def _sd3(config: Config) -> Architecture:
    if config.get("dual_attention_layers"):
        return Architecture.SD35_MEDIUM
    return Architecture.SD35_LARGE if config.get("qk_norm") else Architecture.SD3


def _flux(config: Config) -> Architecture | None:
    channels = config.get("in_channels", 64)
    if channels == 384:
        return Architecture.FLUX_FILL
    if channels != 64:
        return None
    return Architecture.FLUX_DEV if config.get("guidance_embeds") else Architecture.FLUX_SCHNELL


def _flux2(config: Config) -> Architecture | None:
    # What diffusers leaves out is as its class says: 48 heads of 128.
    heads, size = config.get("num_attention_heads", 48), config.get("attention_head_dim", 128)
    return FLUX2_WIDTHS.get(heads * size) if isinstance(heads, int) and isinstance(size, int) else None


def _always(architecture: Architecture) -> Callable[[Config], Architecture]:
    return lambda config: architecture


PIPELINES: Mapping[str, Callable[[Config], Architecture | None]] = {
    **dict.fromkeys(
        ("StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline", "StableDiffusion3InpaintPipeline"),
        _sd3,
    ),
    **dict.fromkeys(("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"), _flux),
    "FluxFillPipeline": _flux,
    **dict.fromkeys(
        ("FluxKontextPipeline", "FluxKontextInpaintPipeline"), _always(Architecture.FLUX_KONTEXT)
    ),
    **dict.fromkeys(
        ("ChromaPipeline", "ChromaImg2ImgPipeline", "ChromaInpaintPipeline"), _always(Architecture.CHROMA)
    ),
    **dict.fromkeys(
        ("ZImagePipeline", "ZImageImg2ImgPipeline", "ZImageInpaintPipeline"), _always(Architecture.Z_IMAGE)
    ),
    **dict.fromkeys(("Flux2Pipeline", "Flux2KleinPipeline", "Flux2KleinInpaintPipeline"), _flux2),
    **dict.fromkeys(
        ("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline"),
        _always(Architecture.QWEN_IMAGE),
    ),
    **dict.fromkeys(
        ("QwenImageEditPipeline", "QwenImageEditPlusPipeline", "QwenImageEditInpaintPipeline"),
        _always(Architecture.QWEN_IMAGE_EDIT),
    ),
}
"""diffusers' names of pipelines that draw with these transformers, and what tells the family then."""
