"""For which family of checkpoints a small model was made: by the shapes in its header, else by words.

Words are Civitai's `baseModel` and the trainers' `ss_base_model_version`. Shapes are facts: they come first.
"""

from __future__ import annotations

import re

from easel.models.header import Header
from easel.models.kind import Kind, is_lite_control
from easel.models.transformer_network import family_of_transformer_network

OTHER = "other"
"""A family that the studio does not draw with: Wan, HunyuanVideo and the like."""
_BY_WIDTH = {768: "sd1", 1024: "sd2", 2048: "sdxl", 1280: "sdxl-refiner", 64: "starter"}
_BY_VECTOR = {768: "sd1", 1024: "sd2", 1280: "sdxl", 64: "starter"}
# Where the texts' width stands: the second number of what makes keys (of a LoRA: its first matrix).
_KEYS = re.compile(
    r"^ip_adapter\.\d+\.to_k_ip\.weight$|"
    r"attn2[._](?:processor\.)?to_k(?:_lora)?"
    r"(?:\.lora_down\.weight|\.lora_A\.weight|\.lora\.down\.weight|\.down\.weight|\.hada_w1_b|\.diff|\.weight|\.down)$"
)
_WORDS = (
    (re.compile(r"cascade|pixart|hunyuan|kolors|aura|lumina|\bwan\b|ltx|mochi|hidream|flux[ ._-]?3|"
                r"qwen[ _-]?image[ _-]?2\.1", re.IGNORECASE), OTHER),
    (re.compile(r"chroma", re.IGNORECASE), "chroma"),
    (re.compile(r"flux[ ._-]?2", re.IGNORECASE), "flux2"),
    (re.compile(r"flux", re.IGNORECASE), "flux"),
    (re.compile(r"sd[ _-]?v?3|stable[ _-]diffusion[ _-]v?3", re.IGNORECASE), "sd3"),
    (re.compile(r"z[ _-]?image", re.IGNORECASE), "z-image"),
    (re.compile(r"qwen", re.IGNORECASE), "qwen-image"),
    (re.compile(r"refiner", re.IGNORECASE), "sdxl-refiner"),
    (re.compile(r"xl|pony|illustrious|noob", re.IGNORECASE), "sdxl"),
    (re.compile(r"starter", re.IGNORECASE), "starter"),
    (re.compile(r"sd[ _-]?v?2|stable[ _-]diffusion[ _-]v?2", re.IGNORECASE), "sd2"),
    (re.compile(r"sd[ _-]?v?1|stable[ _-]diffusion[ _-]v?1", re.IGNORECASE), "sd1"),
)  # fmt: skip


def family_of_words(words: str) -> str:
    """The family that is called so, as `Architecture.family` spells it, or `OTHER`; "" where nobody knows."""
    return next((name for pattern, name in _WORDS if pattern.search(words)), "")


def family_of_header(kind: Kind, header: Header) -> str:
    """The family by the shapes of a small model; "" where they do not tell (of upscalers there is none)."""
    if kind in (Kind.LORA, Kind.CONTROLNET):
        return _of_network(header)
    if kind is Kind.EMBEDDING:
        widths = {one.shape[-1] for one in header.tensors.values() if one.shape}
        return _BY_VECTOR.get(max(widths, default=0), "")
    if kind is Kind.VAE:
        channels = (one.shape[1] for name, one in header.tensors.items()
                    if name.endswith("decoder.conv_in.weight") and len(one.shape) == 4)  # fmt: skip
        # Those of SD 1.x, 2.x and SDXL are of one shape; only what they make of a picture tells them apart.
        return OTHER if next(channels, 4) != 4 else ""
    return ""


def _of_network(header: Header) -> str:
    if family := family_of_transformer_network(header, OTHER):
        return family
    for name, info in header.tensors.items():
        if len(info.shape) >= 2 and _KEYS.search(name):
            return _BY_WIDTH.get(info.shape[1], OTHER)
    if is_lite_control(header):
        # of SD 1.x no transformer has a second block
        return "sdxl" if any("_transformer_blocks_1_" in name for name in header.tensors) else ""
    if any(name.startswith(("lora_te2_", "text_encoder_2.")) for name in header.tensors):
        return "sdxl"
    return ""
