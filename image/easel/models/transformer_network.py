"""For which family of transformers a LoRA or a ControlNet was made, by names and widths of its tensors.

The same network has many spellings: kohya's `lora_unet_double_blocks_0_img_attn_qkv`, diffusers'
`transformer.single_transformer_blocks.0.attn.to_q`, the publishers' own `double_blocks.0.img_attn.qkv`. With
"_" for every "." they are alike. What has the same names is told by how many numbers a layer takes. A LoRA of
Chroma that leaves its guidance alone is like one of FLUX.1, which it grew from: it counts as that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from easel.models.header import Header

# What has one of these is made for a transformer, whether for one of ours or not.
_ANY = re.compile(
    r"double_blocks_\d|single_blocks_\d|joint_blocks_\d|transformer_blocks_\d+_(?:attn_|norm1_|ff_|img_|txt_)|"
    r"(?:layers|refiner)_\d+_(?:attention|feed_forward|adaLN)|blocks_\d+_(?:cross_attn|self_attn)|"
    r"distilled_guidance_layer|_stream_modulation|^lora_te3_|^lora_te2_encoder_block"
)
# Told by a name alone, in this order.
_NAMES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"distilled_guidance_layer"), "chroma"),
    (re.compile(r"to_qkv_mlp_proj|ff_(?:context_)?linear_(?:in|out)|_stream_modulation"), "flux2"),
    (re.compile(r"transformer_blocks_\d+_(?:img|txt)_(?:mlp|mod)"), "qwen-image"),
    (re.compile(r"joint_blocks_\d|^lora_te3_"), "sd3"),
)
_Z_IMAGE = re.compile(r"(?:layers|refiner)_\d+_attention_(?:qkv|to_[qkv]|[qkv])_")
_BFL = re.compile(r"(double|single)_blocks_(\d+)_")
_DIFFUSERS = re.compile(r"(single_|joint_)?transformer_blocks_(\d+)_(?:attn_|norm1?_|ff_|proj_)")
# Layers that take what the whole transformer is wide.
_INPUTS = re.compile(r"(?:img_attn_qkv|txt_attn_qkv|linear1|attn_(?:to_[qkv]|add_[qkv]_proj)|_qkv_lora\d)_")
_DOWN = ("lora_down_weight", "lora_A_weight", "lora_A_default_weight", "_down_weight", "hada_w1_b", "diff")
_UP = ("lora_up_weight", "lora_B_weight", "lora_B_default_weight", "_up_weight", "diff")
_SD3_WIDTHS, _FLUX2_WIDTHS = (1536, 2432), (4096, 6144)
_Z_IMAGE_WIDTH, _FLUX_WIDTH = 3840, 3072
# FLUX.2 klein 4B is as wide as FLUX.1; its hidden layers are not.
_KLEIN_UPS = {"linear1": 27648, "img_mlp_0": 18432, "txt_mlp_0": 18432}
# FLUX.1 has blocks 0 to 18 of both streams, Qwen-Image 60.
_FLUX_BLOCKS = 19


def family_of_transformer_network(header: Header, other: str) -> str:
    """The family; `other` for one of a transformer that is none of ours, "" for a network of none."""
    named = _Named(header)
    if not named.any(_ANY):
        return ""
    for pattern, family in _NAMES:
        if named.any(pattern):
            return family
    if named.any(_Z_IMAGE):
        return "z-image" if named.width(_Z_IMAGE) == _Z_IMAGE_WIDTH else other
    if named.any(_BFL):
        return _of_bfl(named, other)
    if named.any(_DIFFUSERS):
        return _of_diffusers(named, other)
    return "flux" if named.any(re.compile(r"^lora_te2_encoder_block")) else other


def _of_bfl(named: _Named, other: str) -> str:
    width = named.width(_INPUTS)
    if width in _FLUX2_WIDTHS:
        return "flux2"
    if width not in (_FLUX_WIDTH, None):
        return other
    klein = any(named.size(part) == size for part, size in _KLEIN_UPS.items())
    return "flux2" if klein else "flux"


def _of_diffusers(named: _Named, other: str) -> str:
    width = named.width(_INPUTS)
    kinds = {start for start, _ in named.found(_DIFFUSERS)}
    if "joint_" in kinds:
        return other
    if width in _SD3_WIDTHS:
        return "sd3"
    if width in _FLUX2_WIDTHS:
        return "flux2"
    if "single_" in kinds and width in (_FLUX_WIDTH, None):
        return "flux"
    if width != _FLUX_WIDTH:
        return other
    last = max(int(number) for start, number in named.found(_DIFFUSERS))
    return "flux" if last < _FLUX_BLOCKS else "qwen-image"


class _Named:
    """A header's tensors by their names with "_" for every "."."""

    def __init__(self, header: Header) -> None:
        self._shapes = {name.replace(".", "_"): one.shape for name, one in header.tensors.items()}

    def any(self, pattern: re.Pattern[str]) -> bool:
        """Whether a name has it."""
        return any(pattern.search(name) for name in self._shapes)

    def found(self, pattern: re.Pattern[str]) -> Iterator[tuple[str | None, str]]:
        """Both groups of the pattern, of each name that has it."""
        for name in self._shapes:
            if match := pattern.search(name):
                yield match[1], match[2]

    def width(self, pattern: re.Pattern[str]) -> int | None:
        """How many numbers such a layer takes; None where it cannot be told."""
        return next((shape[1] for shape in self._ending(pattern, _DOWN)), None)

    def size(self, part: str) -> int | None:
        """How many numbers this layer gives; None where it cannot be told."""
        return next((shape[0] for shape in self._ending(re.compile(part + "_"), _UP)), None)

    def _ending(self, pattern: re.Pattern[str], endings: Iterable[str]) -> Iterator[tuple[int, ...]]:
        for name, shape in self._shapes.items():
            # A ControlNet has the layer itself.
            known = name.endswith(tuple(endings)) or not _is_lora(name)
            if known and len(shape) == 2 and pattern.search(name):
                yield shape


def _is_lora(name: str) -> bool:
    return re.search(r"lora|hada|lokr|oft|dora|alpha|_diff|_down_|_up_", name) is not None
