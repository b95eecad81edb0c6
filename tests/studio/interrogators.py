"""Files that put pictures into words, tiny, in the layouts that are published."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import BlipConfig, BlipForConditionalGeneration, CLIPConfig, CLIPModel

Tensors = dict[str, torch.Tensor]
TAGS = ("1girl", "long_hair", "rating:safe", "smile_(happy)", "tree")
FOLDER = "ControlNetPreprocessor"


def blip(seed: int = 0) -> BlipForConditionalGeneration:
    """BLIP as transformers has it, narrow; with BERT's words."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text = {
            "hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 1,
            "max_position_embeddings": 64,
        }  # fmt: skip
        vision = {
            "hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 1,
            "image_size": 32, "layer_norm_eps": 1e-6,
        }  # fmt: skip
        model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision)).eval()
        for name, one in model.named_parameters():
            if one.dim() > 1:
                # so that what is seen and what was said both tell in what follows
                torch.nn.init.normal_(one, std=0.3 if "word_embeddings" in name else 0.2)
            elif name.endswith("predictions.bias"):
                torch.nn.init.normal_(one)
    return model


def salesforce(model: BlipForConditionalGeneration) -> Tensors:
    """The same under the names of `model_base_caption_capfilt_large.pth`."""
    found = {"text_decoder.bert.embeddings.position_ids": torch.arange(64)[None]}
    for name, one in model.state_dict().items():
        for pattern, theirs in (
            (r"^vision_model\.embeddings\.patch_embedding", "visual_encoder.patch_embed.proj"),
            (r"^vision_model\.embeddings\.position_embedding", "visual_encoder.pos_embed"),
            (r"^vision_model\.embeddings\.class_embedding", "visual_encoder.cls_token"),
            (r"^vision_model\.post_layernorm", "visual_encoder.norm"),
            (r"^vision_model\.encoder\.layers", "visual_encoder.blocks"),
            (r"^(visual_encoder\.blocks\.\d+)\.self_attn\.projection", r"\1.attn.proj"),
            (r"^(visual_encoder\.blocks\.\d+)\.self_attn", r"\1.attn"),
            (r"^(visual_encoder\.blocks\.\d+)\.layer_norm", r"\1.norm"),
        ):
            name = re.sub(pattern, theirs, name)
        found[name] = one.clone()
    return found


# Of each convolution: out, in, side. A block of three with a way past it, one without, one with a step of two
# whose way past it comes first, one whose way past it comes last, and what says how sure it is.
CONVOLUTIONS = (
    (4, 3, 7),
    (8, 4, 1), (4, 4, 1), (4, 4, 3), (8, 4, 1),
    (4, 8, 1), (4, 4, 3), (8, 4, 1),
    (16, 8, 1), (8, 8, 1), (8, 8, 3), (16, 8, 1),
    (8, 16, 1), (8, 8, 3), (16, 8, 1), (16, 16, 1),
    (len(TAGS), 16, 1),
)  # fmt: skip


def deepdanbooru(seed: int = 0) -> Tensors:
    """TorchDeepDanbooru's `model-resnet_custom_v3.pt`, with few layers."""
    noise = torch.Generator().manual_seed(seed)
    found = {}
    for number, shape in enumerate(CONVOLUTIONS):
        out, into, side = shape
        scale = 2 / (into * side * side) ** 0.5
        found[f"n_Conv_{number}.weight"] = torch.randn(out, into, side, side, generator=noise) * scale
        if number < len(CONVOLUTIONS) - 1:  # the last has none
            found[f"n_Conv_{number}.bias"] = torch.randn(out, generator=noise) * 0.1
    return found


def clip(seed: int = 0) -> CLIPModel:
    """CLIP as transformers has it, narrow; with CLIP's own words."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        part = {
            "hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 1,
        }  # fmt: skip
        text = {**part, "vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407}
        vision = {**part, "image_size": 32, "patch_size": 8}
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).eval()
        for one in model.parameters():
            if one.dim() > 1:
                torch.nn.init.normal_(one, std=0.2)
    return model


def write_clip(models: Path) -> Path:
    """CLIP's file in the store, in the names that transformers publishes it in."""
    folder = models / FOLDER / "clip"
    clip().save_pretrained(folder)
    return folder / "model.safetensors"


def write_blip(models: Path) -> Path:
    """BLIP's file in the store."""
    return _written(models, "blip", salesforce(blip()), {})


def write_deepdanbooru(models: Path) -> Path:
    """DeepDanbooru's, as it comes of its pickle."""
    return _written(models, "deepdanbooru", deepdanbooru(), {"tags": json.dumps(TAGS)})


def _written(models: Path, name: str, tensors: Tensors, metadata: dict[str, str]) -> Path:
    (models / FOLDER).mkdir(parents=True, exist_ok=True)
    path = models / FOLDER / f"{name}.safetensors"
    save_file({key: one.contiguous().clone() for key, one in tensors.items()}, path, metadata)
    return path
