"""For which family a network's file was made, in words: for those who try it with another one."""

from __future__ import annotations

import re

from easel.models import FileError, Header, ModelFile
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.networks.names import layer_of
from easel.studio.engine.transformers.lora_names import layer_path
from easel.studio.families import FAMILY_LABELS

# How wide the text is that the cross attention of each family looks at.
_FAMILIES = {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL", 1280: "the SDXL refiner", 64: "the starter"}
# What the paths of transformers' layers begin with, and whose they are.
_TRANSFORMERS: tuple[tuple[re.Pattern[str], str, frozenset[str]], ...] = tuple(
    (re.compile(pattern), words, frozenset(families.split()))
    for pattern, words, families in (
        (r"joint_blocks_", "SD 3", "sd3"),
        (r"(double|single)_stream_modulation|transformer_blocks_\d+_ff_(context_)?linear_"
         r"|single_transformer_blocks_\d+_attn_to_(qkv_mlp|out)", "FLUX.2", "flux2"),
        (r"distilled_guidance_layer", "Chroma", "chroma"),
        (r"(single_transformer|double|single)_blocks_", "FLUX", "flux flux2 chroma"),
        (r"transformer_blocks_\d+_(img|txt)_m", "Qwen-Image", "qwen-image"),
        (r"(noise_refiner|context_refiner|layers)_\d+_", "Z-Image", "z-image"),
        (r"transformer_blocks_", "a transformer model (FLUX, SD 3 or the like)", "sd3 flux flux2 qwen-image"),
        (r"lora_te3_", "SD 3 or FLUX", "sd3 flux chroma"),
    )
)  # fmt: skip


def other_architecture(file: ModelFile, header: Header, checkpoint: Checkpoint) -> FileError:
    """What is said where the file does not fit the checkpoint."""
    family = checkpoint.family
    made_for, families = _made_for(header)
    if family.flow is None:
        ours = _FAMILIES.get(checkpoint.backbone.config.cross_attention_dim, family.name)
    else:
        ours = FAMILY_LABELS[family.architecture.family]
    if family.architecture.family in families:
        theirs = f"{made_for} of another size"
    else:
        theirs = made_for or "another kind of model"
    return OtherArchitecture(
        file.name,
        f"this LoRA was made for {theirs}, and {checkpoint.file.name} is {ours}; "
        "take a checkpoint or a LoRA that fits the other",
    )


def _made_for(header: Header) -> tuple[str, frozenset[str]]:
    """In words, and families of transformers that they stand for."""
    paths = {layer_path(base) for name in header.tensors if (base := layer_of(name))}
    for pattern, words, families in _TRANSFORMERS:
        if any(pattern.match(path) for path in paths):
            return words, families
    return _made_for_unet(header), frozenset()


def _made_for_unet(header: Header) -> str:
    for name, info in header.tensors.items():
        ends = ("attn2_to_k.lora_down.weight", "attn2.to_k.lora_A.weight", "attn2.to_k.lora.down.weight",
                "attn2.processor.to_k_lora.down.weight", "attn2_to_k.hada_w1_b", "attn2.to_k.hada_w1_b",
                "attn2_to_k.diff")  # fmt: skip
        if (name.endswith(ends) or name == "ip_adapter.1.to_k_ip.weight") and len(info.shape) >= 2:
            return _FAMILIES.get(info.shape[1], f"a model that attends to {info.shape[1]} numbers")
    if any(name.startswith(("lora_te2_", "text_encoder_2.")) for name in header.tensors):
        return _FAMILIES[2048]
    return header.metadata.get("ss_base_model_version", "")[:60]
