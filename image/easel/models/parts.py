"""Which part of a model a file holds: its role, told by names and widths of its tensors.

A text encoder comes under the names of its publisher (transformers), of ComfyUI's files, which are the same,
or of llama.cpp's GGUF files (`blk.0.attn_q.weight`, `enc.blk.0.attn_q.weight`). The layout is told by names;
which of its kind it is by its width, and where that is none of the published ones by the file's name.

The VAEs of SD 3 and FLUX.1 have the same tensors and other weights: a file's name tells them apart where it
can; else the role is `VAE_16`, and either family takes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from easel.models.header import TensorInfo
from easel.models.sizes import gigabytes

Tensors = Mapping[str, TensorInfo]

CLIP_L, CLIP_G, T5_XXL = "clip-l", "clip-g", "t5-xxl"
QWEN3_4B, QWEN3_8B, QWEN25_VL_7B = "qwen3-4b", "qwen3-8b", "qwen2.5-vl-7b"
MISTRAL_SMALL_24B = "mistral-small-24b"
VAE_SD3, VAE_FLUX, VAE_FLUX2, VAE_QWEN = "vae-sd3", "vae-flux", "vae-flux2", "vae-qwen"
VAE_16 = "vae-16"
"""A VAE of 16 channels that is SD 3's or FLUX.1's; nobody says which."""


VAE_PREFIXES = ("first_stage_model.", "vae.")
"""What stands before a VAE's names in a checkpoint, and in files that were cut out of one."""


@dataclass(frozen=True, slots=True)
class PartFacts:
    """What people call a part, how its file is usually called, and how many bytes that has."""

    words: str
    file: str
    nbytes: int

    @property
    def usual(self) -> str:
        """In brackets behind the words: "usually clip_l.safetensors, 246.1 MB"."""
        return f"usually {self.file}, {gigabytes(self.nbytes)}"


FACTS: Mapping[str, PartFacts] = {
    CLIP_L: PartFacts("the text encoder CLIP-L", "clip_l.safetensors", 246_144_152),
    CLIP_G: PartFacts("the text encoder CLIP-G", "clip_g.safetensors", 1_389_382_176),
    T5_XXL: PartFacts("the text encoder T5-XXL", "t5xxl_fp8_e4m3fn.safetensors", 4_893_934_904),
    QWEN3_4B: PartFacts("the text encoder Qwen3 4B", "qwen_3_4b.safetensors", 8_044_982_048),
    QWEN3_8B: PartFacts("the text encoder Qwen3 8B", "qwen_3_8b_fp8mixed.safetensors", 8_664_000_000),
    QWEN25_VL_7B: PartFacts(
        "the text encoder Qwen2.5-VL 7B", "qwen_2.5_vl_7b_fp8_scaled.safetensors", 9_384_670_680
    ),
    MISTRAL_SMALL_24B: PartFacts(
        "the text encoder Mistral Small 24B", "mistral_3_small_flux2_fp8.safetensors", 18_034_000_000
    ),
    VAE_SD3: PartFacts("the VAE of SD 3", "sd3_vae.safetensors", 167_666_902),
    VAE_FLUX: PartFacts("the VAE of FLUX.1", "ae.safetensors", 335_304_388),
    VAE_FLUX2: PartFacts("the VAE of FLUX.2", "flux2-vae.safetensors", 336_213_556),
    VAE_QWEN: PartFacts("the VAE of Qwen-Image", "qwen_image_vae.safetensors", 253_806_246),
    VAE_16: PartFacts("a VAE of 16 channels (FLUX.1's or SD 3's)", "ae.safetensors", 335_304_388),
}
"""Sizes of the files that ComfyUI's makers offer, rounded where only a page of theirs says it."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """A kind of text encoder: `signs` are all there, `foreign` is not, `norm` is as long as it is wide."""

    signs: tuple[str, ...]
    foreign: tuple[str, ...]
    norm: str
    widths: Mapping[int, str]


_CLIPS = {768: CLIP_L, 1280: CLIP_G}
_QWEN3, _QWEN25 = {2560: QWEN3_4B, 4096: QWEN3_8B}, {3584: QWEN25_VL_7B}
_MISTRAL, _T5 = {5120: MISTRAL_SMALL_24B}, {4096: T5_XXL}
# Gemma has norms behind its layers as well; Qwen3-VL looks at pictures.
_GEMMA = ("layers.0.pre_feedforward_layernorm.weight",)
_LLM_NORM = "layers.0.input_layernorm.weight"
_LLM = (
    _Layout(("layers.0.self_attn.q_norm.weight",), _GEMMA, _LLM_NORM, _QWEN3),
    _Layout(("layers.0.self_attn.q_proj.bias",), _GEMMA, _LLM_NORM, _QWEN25),
    _Layout(
        ("layers.0.self_attn.q_proj.weight", "layers.0.mlp.gate_proj.weight"),
        (*_GEMMA, "layers.0.self_attn.q_norm.weight", "layers.0.self_attn.q_proj.bias"),
        _LLM_NORM,
        _MISTRAL,
    ),
)
_GGUF_GEMMA = ("blk.0.post_ffw_norm.weight",)
_OTHERS = (
    # UMT5 (Wan) has a table of distances in every block.
    _Layout(
        ("encoder.block.0.layer.0.SelfAttention.q.weight",),
        ("encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight",),
        "encoder.block.0.layer.0.layer_norm.weight",
        _T5,
    ),
    _Layout(
        ("enc.blk.0.attn_q.weight",), ("enc.blk.1.attn_rel_b.weight",), "enc.blk.0.attn_norm.weight", _T5
    ),
    _Layout(("blk.0.attn_q_norm.weight",), _GGUF_GEMMA, "blk.0.attn_norm.weight", _QWEN3),
    _Layout(("blk.0.attn_q.bias",), _GGUF_GEMMA, "blk.0.attn_norm.weight", _QWEN25),
    _Layout(
        ("blk.0.attn_q.weight", "blk.0.ffn_gate.weight"),
        (*_GGUF_GEMMA, "blk.0.attn_q_norm.weight", "blk.0.attn_q.bias"),
        "blk.0.attn_norm.weight",
        _MISTRAL,
    ),
)
_CLIP = (
    *(
        _Layout(
            (f"{start}embeddings.token_embedding.weight",),
            (),
            f"{start}encoder.layers.0.layer_norm1.weight",
            _CLIPS,
        )
        for start in ("text_model.", "")
    ),
    _Layout(
        ("token_embedding.weight", "positional_embedding"), (), "transformer.resblocks.0.ln_1.weight", _CLIPS
    ),
)
_LLM_STARTS = ("model.", "", "model.language_model.", "language_model.model.", "language_model.")
_NAMES: Mapping[str, re.Pattern[str]] = {
    CLIP_L: re.compile(r"clip[-_. ]?l(?![a-z])"),
    CLIP_G: re.compile(r"clip[-_. ]?g(?![a-z])"),
    T5_XXL: re.compile(r"t5[-_. ]?(?:v1[-_.]1[-_.])?xxl"),
    QWEN3_4B: re.compile(r"qwen[-_. ]?3[-_. ]?4b"),
    QWEN3_8B: re.compile(r"qwen[-_. ]?3[-_. ]?8b"),
    QWEN25_VL_7B: re.compile(r"qwen[-_. ]?2[-_. ]?5"),
    MISTRAL_SMALL_24B: re.compile(r"mistral"),
}
_SD3_NAME = re.compile(r"sd[-_. ]?3|stable[-_. ]diffusion[-_. ]3")
_FLUX_NAME = re.compile(r"flux|^ae(?![a-z])")


def text_encoder_role(tensors: Tensors, name: str = "") -> str:
    """The role of a text encoder with these tensors, alone; "" for what is none that is drawn with.

    `name` is the file's, which counts where the width is none of the published.
    """
    for layout in (*_CLIP, *_OTHERS, *_language_layouts(tensors)):
        if not _holds(layout, tensors):
            continue
        norm = tensors.get(layout.norm)
        known = layout.widths.get(norm.numel) if norm is not None else None
        return known or _named(layout, name)
    return ""


def is_language_model(tensors: Tensors) -> bool:
    """Whether these are a language model's tensors, or a T5's: what is a text encoder here, of any width."""
    return any(_holds(layout, tensors) for layout in (*_OTHERS, *_language_layouts(tensors)))


def vae_role(tensors: Tensors, name: str = "") -> str:
    """The role of a VAE with these tensors, alone; "" for those of UNet families, and for what is none."""
    if is_video_vae(tensors):
        first = tensors.get("decoder.conv1.weight") or tensors.get("decoder.conv_in.weight")
        return VAE_QWEN if first is not None and first.shape[1:2] == (16,) else ""
    first = tensors.get("decoder.conv_in.weight")
    if first is None or len(first.shape) != 4:
        return ""
    if first.shape[1] == 32 and "bn.running_mean" in tensors:
        return VAE_FLUX2
    if first.shape[1] != 16:
        return ""
    low = name.lower().rpartition("/")[2]
    return VAE_SD3 if _SD3_NAME.search(low) else VAE_FLUX if _FLUX_NAME.search(low) else VAE_16


def part_in(tensors: Tensors, name: str = "") -> tuple[str, str]:
    """The role of the one part that a file holds, and what stands before its tensors' names; "" for none."""
    if role := text_encoder_role(tensors, name):
        return role, ""
    found = ((vae_role(under(tensors, start), name), start) for start in ("", *VAE_PREFIXES))
    return next((one for one in found if one[0]), ("", ""))


def under(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors that begin with `prefix`, by the rest of their names."""
    if not prefix:
        return tensors
    length = len(prefix)
    return {name[length:]: one for name, one in tensors.items() if name.startswith(prefix)}


def is_vae_role(role: str) -> bool:
    """Whether this is a VAE's; else it is a text encoder's."""
    return role.startswith("vae-")


def is_video_vae(tensors: Tensors) -> bool:
    """Whether its convolutions have three dimensions: Qwen-Image's VAE came from Wan's, for video."""
    first = tensors.get("decoder.conv_in.weight")
    return "decoder.middle.0.residual.0.gamma" in tensors or (first is not None and len(first.shape) == 5)


def _language_layouts(tensors: Tensors) -> list[_Layout]:
    start = next((one for one in _LLM_STARTS if f"{one}{_LLM_NORM}" in tensors), None)
    if start is None:
        return []
    sees = any(name.startswith(("visual.", "model.visual.")) for name in tensors)
    found = [
        _Layout(
            tuple(start + one for one in layout.signs),
            tuple(start + one for one in layout.foreign),
            start + layout.norm,
            layout.widths,
        )
        for layout in _LLM
    ]
    return found[1:] if sees else found


def _holds(layout: _Layout, tensors: Tensors) -> bool:
    return all(one in tensors for one in layout.signs) and not any(one in tensors for one in layout.foreign)


def _named(layout: _Layout, name: str) -> str:
    low = name.lower().rpartition("/")[2]
    return next((role for role in layout.widths.values() if _NAMES[role].search(low)), "")
