"""For which family a small model was made, by its header or by what people call it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from easel.models import Kind, Store

WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl", 1280: "sdxl-refiner", 64: "starter", 4096: "other"}
KEYS = (
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight",
    "lora_unet_x_attn2_to_k.hada_w1_b",
)


def family(
    root: Path, kind: Kind, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> str:
    store = Store(root, hashing=False)
    folder = store.folder(kind)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "a.safetensors", metadata)
    return store.index(kind)[0].family


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_lora_by_what_it_reads(tmp_path: Path, key: str, width: int) -> None:
    """The width of the texts that its cross attention takes."""
    assert family(tmp_path, Kind.LORA, {key: torch.zeros(4, width)}) == WIDTHS[width]


def test_shapes_before_words(tmp_path: Path) -> None:
    """What a trainer wrote is an opinion."""
    tensors = {KEYS[0]: torch.zeros(4, 2048)}
    assert family(tmp_path, Kind.LORA, tensors, {"ss_base_model_version": "sd_v1"}) == "sdxl"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("SD 1.5", "sd1"), ("sd_v1", "sd1"), ("SD 1.5 LCM", "sd1"), ("SD 2.1 768", "sd2"),
        ("SDXL 1.0", "sdxl"),
        ("sdxl_base_v1-0", "sdxl"), ("Pony", "sdxl"), ("Illustrious", "sdxl"), ("NoobAI", "sdxl"),
        ("Flux.1 D", "other"), ("SD 3.5", "other"), ("Wan Video", "other"), ("", ""), ("something", ""),
        ("stable-diffusion-xl-v1-base/lora", "sdxl"), ("stable-diffusion-v1/lora", "sd1"),
    ],
)  # fmt: skip
def test_words(tmp_path: Path, words: str, wanted: str) -> None:
    """Civitai's and the trainers' words, where the shapes say nothing."""
    tensors = {"lora_te_x.lora_down.weight": torch.zeros(4, 8)}
    assert family(tmp_path, Kind.LORA, tensors, {"ss_base_model_version": words}) == wanted


@pytest.mark.parametrize(
    ("tensors", "wanted"),
    [
        ({"emb_params": (2, 768)}, "sd1"),
        ({"clip_l": (2, 768), "clip_g": (2, 1280)}, "sdxl"),
        ({"emb_params": (1, 1024)}, "sd2"),
    ],
)
def test_embeddings(tmp_path: Path, tensors: dict[str, tuple[int, int]], wanted: str) -> None:
    """By the width of their vectors."""
    found = {name: torch.zeros(shape) for name, shape in tensors.items()}
    assert family(tmp_path, Kind.EMBEDDING, found) == wanted


def test_a_vae_of_sixteen_channels(tmp_path: Path) -> None:
    """That of FLUX or SD 3 is none of ours; those of four channels do not tell."""
    assert family(tmp_path / "a", Kind.VAE, {"decoder.conv_in.weight": torch.zeros(8, 16, 3, 3)}) == "other"
    assert family(tmp_path / "b", Kind.VAE, {"decoder.conv_in.weight": torch.zeros(8, 4, 3, 3)}) == ""
