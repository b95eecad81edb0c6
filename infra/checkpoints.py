"""Models whose size their names give away, so that one that cannot fit is refused before it costs."""

import re

from infra.shapes import FAMILIES, SHAPES, Shape

# The first that matches counts. Quantised files are smaller than their family and stay unknown, as do parts
# of a set: repositories are named for the whole of it.
_UNKNOWN = (
    r"fp8|fp4|nf4|int8|int4|svdq|gguf|q[2-8]_|4bit|8bit"
    r"|vae|/ae\.|clip_|t5xxl|text_encoder|lora|control|adapter"
)
_BY_NAME = (
    (r"flux[._-]?2[._-]klein[._-](base[._-])?4b", "FLUX.2 klein 4B"),
    (r"flux[._-]?2[._-]klein[._-](base[._-])?9b", "FLUX.2 klein 9B"),
    (r"flux[._-]?2[._-]dev", "FLUX.2 dev"),
    (r"flux[._-]?1", "FLUX.1"),
    (r"chroma1", "Chroma"),
    (r"z[_-]?image", "Z-Image"),
    (r"qwen[_-]?image", "Qwen-Image"),
    (r"(sd|stable-diffusion-)3[_-]medium", "SD 3 Medium"),
    (r"(sd|stable-diffusion-)3\.?5[_-]large", "SD 3.5 Large"),
    (r"(sd|stable-diffusion-)3\.?5[_-]medium", "SD 3.5 Medium"),
    (r"sd_?xl|stable-diffusion-xl", "SDXL"),
    (r"v2-1_|stable-diffusion-2-1", "SD 2.1"),
    (r"v1-[45]-|v1-5-pruned|stable-diffusion-v1-[45]", "SD 1.5"),
)


def family_of(address: str) -> str | None:
    """The family of a model, where its address gives it away: `SDXL` for `hf://…/sd_xl_base_1.0.safetensors`."""
    text = address.lower()
    if re.search(_UNKNOWN, text):
        return None
    return next((family for pattern, family in _BY_NAME if re.search(pattern, text)), None)


def smallest_that_holds(family: str) -> Shape:
    """The cheapest shape that holds a family and that can be had singly."""
    fits = [shape for shape in SHAPES.values() if shape.memory >= FAMILIES[family] and shape.only_by == 1]
    return min((shape for shape in fits if shape.gpu), key=lambda shape: shape.price)
