"""Which of the families that predict a flow a transformer belongs to, told from its header alone.

Names and widths are facts of the published files; diffusers' `single_file_utils.py` and the classes under
`models/transformers` (Apache-2.0) list them. A transformer comes as it was published, with or without the
checkpoint prefix `model.diffusion_model.` (GGUF files have these names too), or under diffusers' names.

Three pairs have the same tensors: FLUX.1 dev and Kontext, Z-Image and Z-Image-Turbo, Qwen-Image and
Qwen-Image-Edit. Which of the two it is, is looked for in this order:

1. `easel.architecture` in the file beside it, which names any family (see architecture.py);
2. a tensor that is a mark, in files of Qwen-Image-Edit 2511 that were made for ComfyUI;
3. Civitai's `baseModel` beside it ("Flux.1 Kontext", "ZImageTurbo");
4. the file's own metadata: `modelspec.architecture`, `modelspec.title`, `general.name`;
5. the file's name: "kontext", "turbo" or "edit" in it;
6. else it is the first of the pair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isqrt
from typing import NoReturn

from easel.models import evidence
from easel.models.errors import UnknownArchitecture
from easel.models.family_names import Architecture
from easel.models.header import Header, TensorInfo
from easel.models.sidecar import Sidecar

_TWO_IN_ONE = "U8"
PREFIXES = ("model.diffusion_model.", "")
"""What stands before the transformer's names in a single file."""

# ComfyUI's, in files of Qwen-Image-Edit 2511.
_EDIT_MARK = "__index_timestep_zero__"
_WORDS_OF = ("modelspec.architecture", "modelspec.title", "general.name")
# The second of a pair, and the word that tells it. "credit" is no edit.
_SECOND: Mapping[Architecture, tuple[Architecture, re.Pattern[str]]] = {
    Architecture.FLUX_DEV: (Architecture.FLUX_KONTEXT, re.compile(r"kontext", re.IGNORECASE)),
    Architecture.Z_IMAGE: (Architecture.Z_IMAGE_TURBO, re.compile(r"turbo", re.IGNORECASE)),
    Architecture.QWEN_IMAGE: (
        Architecture.QWEN_IMAGE_EDIT,
        re.compile(r"(?<![a-z])edit(?![a-z])", re.IGNORECASE),
    ),
}
# Civitai's words for one of a pair. "Qwen" stands for both.
_BASES = {
    "flux.1 d": Architecture.FLUX_DEV,
    "flux.1 krea": Architecture.FLUX_DEV,
    "flux.1 kontext": Architecture.FLUX_KONTEXT,
    "zimagebase": Architecture.Z_IMAGE,
    "zimageturbo": Architecture.Z_IMAGE_TURBO,
}


@dataclass(frozen=True, slots=True)
class TransformerIdentity:
    """The family, what told it, and what stands before the names of the transformer's tensors."""

    architecture: Architecture
    told_by: str
    prefix: str


def transformer_architecture(
    header: Header, name: str, sidecar: Sidecar | None = None
) -> TransformerIdentity | None:
    """The family of the transformer in this file; None where there is none that is known.

    Raises UnknownArchitecture for a relative of these families that the studio does not draw with.
    """
    for prefix in PREFIXES:
        there = _Tensors(header, prefix)
        for signs, tell in _TOLD_BY:
            if there.holds(*signs):
                first = tell(there, name)
                marked = first is Architecture.QWEN_IMAGE and there.holds(_EDIT_MARK)
                found, told_by = one_of_pair(
                    first, name, sidecar or Sidecar(), header.metadata, marked=marked
                )
                return TransformerIdentity(found, told_by, prefix)
    return None


def transformer_prefix(header: Header) -> str | None:
    """What stands before the transformer's names, of whatever family and width; None without one."""
    return next(
        (
            prefix
            for prefix in PREFIXES
            if any(_Tensors(header, prefix).holds(*signs) for signs, _ in _TOLD_BY)
        ),
        None,
    )


def one_of_pair(
    first: Architecture, name: str, sidecar: Sidecar, metadata: Mapping[str, str], *, marked: bool = False
) -> tuple[Architecture, str]:
    """`first`, or the second family with the same tensors; and what told it: a mark first of all."""
    if first not in _SECOND:
        return first, evidence.SHAPES
    if marked:
        return _SECOND[first][0], evidence.tensor(_EDIT_MARK)
    second, word = _SECOND[first]
    if (said := _BASES.get(sidecar.base_model.strip().lower())) in (first, second) and said is not None:
        return said, evidence.BASE_MODEL
    spoken = [(evidence.metadata(key), metadata.get(key, "")) for key in _WORDS_OF]
    for source, text in (*spoken, (evidence.NAME, name)):
        if word.search(text):
            return second, source
    return first, evidence.SHAPES


class _Tensors:
    """The tensors of a header that begin with a prefix, by the rest of their names."""

    def __init__(self, header: Header, prefix: str) -> None:
        self._tensors, self._prefix = header.tensors, prefix

    def get(self, *names: str) -> TensorInfo | None:
        """The first of these that is there."""
        return next((one for name in names if (one := self._tensors.get(self._prefix + name))), None)

    def holds(self, *names: str) -> bool:
        """Whether all of these are there."""
        return all(self._prefix + name in self._tensors for name in names)

    def inputs(self, *layers: str) -> int | None:
        """How many numbers the linear layer takes; None where there is none.

        Two weights may be packed into a byte: NVFP4's in rows; bitsandbytes keeps no shape, and the layer's
        bias tells.
        """
        weight = self.get(*(f"{layer}.weight" for layer in layers))
        if weight is None or len(weight.shape) != 2:
            return None
        bias = self.get(*(f"{layer}.bias" for layer in layers))
        if weight.dtype == _TWO_IN_ONE and weight.shape[1] == 1:
            return 2 * weight.numel // bias.numel if bias is not None and bias.numel else None
        return weight.shape[1] * (2 if weight.dtype == _TWO_IN_ONE else 1)


def _sd3(there: _Tensors, name: str) -> Architecture:
    if there.get("joint_blocks.0.x_block.attn2.qkv.weight", "transformer_blocks.0.attn2.to_q.weight"):
        return Architecture.SD35_MEDIUM
    # The norms of queries and keys came with 3.5; its large model has no second attention.
    if there.get("joint_blocks.0.x_block.attn.ln_q.weight", "transformer_blocks.0.attn.norm_q.weight"):
        return Architecture.SD35_LARGE
    return Architecture.SD3


def _flux(there: _Tensors, name: str) -> Architecture:
    channels = there.inputs("img_in", "x_embedder")
    if channels == 384:
        return Architecture.FLUX_FILL
    if channels == 128:
        _refuse(name, "this is a FLUX.1 Depth or Canny model")
    if channels not in (64, None):
        _refuse(name, f"its transformer takes {channels} channels, as none of the known FLUX.1 models")
    guided = there.get("guidance_in.in_layer.bias", "time_text_embed.guidance_embedder.linear_1.bias")
    return Architecture.FLUX_DEV if guided else Architecture.FLUX_SCHNELL


def _chroma(there: _Tensors, name: str) -> Architecture:
    if there.get("nerf_image_embedder.embedder.0.weight", "nerf_blocks.0.param_generator.weight"):
        _refuse(name, "this is a Chroma1-Radiance model, which draws without a VAE")
    return Architecture.CHROMA


def _flux2(there: _Tensors, name: str) -> Architecture:
    # three times as high as it is wide, however its numbers are packed
    square = there.get("single_stream_modulation.lin.weight", "single_stream_modulation.linear.weight")
    numbers = square.numel * (2 if square.dtype == _TWO_IN_ONE else 1) if square is not None else 0
    width = isqrt(numbers // 3)
    found = FLUX2_WIDTHS.get(width)
    if found is None:
        _refuse(name, f"its transformer is {width} wide, as none of the known FLUX.2 models")
    return found


def _z_image(there: _Tensors, name: str) -> Architecture:
    if there.get("siglip_embedder.0.weight", "siglip_embedder.1.weight"):
        _refuse(name, "this is a Z-Image-Omni model")
    return Architecture.Z_IMAGE


def _qwen_image(there: _Tensors, name: str) -> Architecture:
    if there.get("time_text_embed.addition_t_embedding.weight"):
        _refuse(name, "this is a Qwen-Image-Layered model")
    return Architecture.QWEN_IMAGE


def _refuse(name: str, what: str) -> NoReturn:
    raise UnknownArchitecture(name, f"{what}, which the studio does not draw with yet; it draws with {DRAWN}")


DRAWN = "SD 1.x, SD 2.x, SDXL, SD 3 and 3.5, FLUX.1, FLUX.2, Chroma, Z-Image and Qwen-Image"
"""For sentences: what the studio draws with."""

FLUX2_WIDTHS = {
    6144: Architecture.FLUX2,
    3072: Architecture.FLUX2_KLEIN_4B,
    4096: Architecture.FLUX2_KLEIN_9B,
}
"""How wide the transformers of FLUX.2 are: the one family told by that alone."""
# What has all of these is of the family; in this order, for Chroma and FLUX.2 grew from FLUX.1. As published,
# then diffusers' names.
_TOLD_BY: tuple[tuple[tuple[str, ...], Callable[[_Tensors, str], Architecture]], ...] = (
    (("joint_blocks.0.context_block.adaLN_modulation.1.bias",), _sd3),
    (("pos_embed.proj.weight", "transformer_blocks.0.attn.add_q_proj.bias", "context_embedder.bias"), _sd3),
    (("distilled_guidance_layer.in_proj.bias",), _chroma),
    (("single_stream_modulation.lin.weight",), _flux2),
    (("single_stream_modulation.linear.weight",), _flux2),
    # HunyuanVideo has double blocks as well, but refines its texts before.
    (("double_blocks.0.img_attn.qkv.bias", "vector_in.in_layer.bias", "txt_in.bias"), _flux),
    (("x_embedder.bias", "context_embedder.bias", "time_text_embed.text_embedder.linear_1.bias"), _flux),
    (("layers.0.adaLN_modulation.0.bias", "cap_embedder.1.bias"), _z_image),
    (("txt_norm.weight", "img_in.bias", "transformer_blocks.0.img_mod.1.bias"), _qwen_image),
)
