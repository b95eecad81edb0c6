"""IP-Adapters and image encoders in the layouts that are published, narrow, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

from easel.studio.engine.control_models.image_prompt_file import cross_attentions

Tensors = dict[str, torch.Tensor]
HIDDEN, PROJECTED, FACE = 32, 48, 512


def encoder() -> CLIPVisionModelWithProjection:
    """As h94/IP-Adapter publishes CLIP-ViT-H (`image_encoder/model.safetensors`), narrow."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=HIDDEN, intermediate_size=64, num_hidden_layers=3, num_attention_heads=16,
                patch_size=16, image_size=64, projection_dim=PROJECTED, hidden_act="gelu",
            )
        ).eval()  # fmt: skip


def adapter(unet: Any, kind: str, strength: float = 0.4) -> dict[str, Tensors]:
    """As the .bin files of h94/IP-Adapter: two tables. `kind` is plain (`ip-adapter_sd15`, `_light`), plus
    (`ip-adapter-plus_sd15`, `-plus-face_`) or full (`ip-adapter-full-face_sd15`); of h94/IP-Adapter-FaceID
    face (`ip-adapter-faceid_sd15`), portrait (`-portrait_`) or face_plus (`-plus_`, `-plusv2_`), of which the
    first and the last have a LoRA within; or instant (InstantID's `ip-adapter.bin`)."""
    width = unet.config.cross_attention_dim
    with torch.random.fork_rng():
        torch.manual_seed(12)
        heads: Tensors = {}
        for index, (_, attention) in enumerate(cross_attentions(unet)):
            out = attention.to_k.out_features
            for way in ("to_k_ip", "to_v_ip"):
                heads[f"{2 * index + 1}.{way}.weight"] = torch.randn(out, width) * strength
        if kind in ("face", "face_plus"):
            heads |= lora(unet, 0.5 * strength)
        return {"image_proj": _projection(kind, width), "ip_adapter": heads}


def lora(unet: Any, strength: float) -> Tensors:
    """What FaceID's files have beside the adapter: changes of all attentions, by their numbers."""
    made: Tensors = {}
    for index, name in enumerate(unet.attn_processors):
        attention = unet.get_submodule(name.removesuffix(".processor"))
        for way, layer in (
            ("to_q", attention.to_q), ("to_k", attention.to_k), ("to_v", attention.to_v),
            ("to_out", attention.to_out[0]),
        ):  # fmt: skip
            out, inward = layer.weight.shape
            made[f"{index}.{way}_lora.down.weight"] = torch.randn(4, inward) / inward**0.5
            made[f"{index}.{way}_lora.up.weight"] = torch.randn(out, 4) * strength
    return made


def written(folder: Path, name: str, tables: dict[str, Tensors]) -> None:
    """As the .safetensors files: the table's name before each tensor's."""
    folder.mkdir(parents=True, exist_ok=True)
    flat = {f"{table}.{key}": one.contiguous() for table, rows in tables.items() for key, one in rows.items()}
    save_file(flat, folder / f"{name}.safetensors")


def _projection(kind: str, width: int) -> Tensors:
    made: Tensors = {}
    if kind == "plain":
        _linear(made, "proj", PROJECTED, 4 * width)
        _norm(made, "norm", width)
    elif kind == "full":
        _linear(made, "proj.0", HIDDEN, HIDDEN)
        _linear(made, "proj.2", HIDDEN, width)
        _norm(made, "proj.3", width)
    elif kind in ("face", "portrait"):
        _face(made, 16 if kind == "portrait" else 4, width)
    elif kind == "face_plus":
        _face(made, 4, width)
        _resampler(made, "perceiver_resampler.", HIDDEN, width, width)
    else:
        made["latents"] = torch.randn(1, 16, 64)
        _resampler(made, "", FACE if kind == "instant" else HIDDEN, 64, width)
    return made


def _face(made: Tensors, tokens: int, width: int) -> None:
    _linear(made, "proj.0", FACE, 2 * FACE)
    _linear(made, "proj.2", 2 * FACE, tokens * width)
    _norm(made, "norm", width)


def _resampler(made: Tensors, begin: str, reads: int, inner: int, width: int) -> None:
    heads = 2 * 64
    _linear(made, f"{begin}proj_in", reads, inner)
    _linear(made, f"{begin}proj_out", inner, width)
    _norm(made, f"{begin}norm_out", width)
    for number in range(4):
        layer = f"{begin}layers.{number}"
        for one in ("0.norm1", "0.norm2", "1.0"):
            _norm(made, f"{layer}.{one}", inner)
        for name, inward, outward in (
            ("0.to_q", inner, heads), ("0.to_kv", inner, 2 * heads), ("0.to_out", heads, inner),
            ("1.1", inner, 4 * inner), ("1.3", 4 * inner, inner),
        ):  # fmt: skip
            made[f"{layer}.{name}.weight"] = torch.randn(outward, inward) / inward**0.5


def _linear(made: Tensors, name: str, inward: int, outward: int) -> None:
    made[f"{name}.weight"] = torch.randn(outward, inward) / inward**0.5
    made[f"{name}.bias"] = torch.randn(outward) * 0.1


def _norm(made: Tensors, name: str, width: int) -> None:
    made[f"{name}.weight"], made[f"{name}.bias"] = torch.rand(width) + 0.5, torch.randn(width) * 0.1
