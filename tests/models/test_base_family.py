"""For which family a small model was made, by its header or by what people call it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from easel.models import Kind, Store
from easel.models.base_family import family_of_header
from tests.models.files import Shapes, sparse
from tests.models.layouts import FLUX2_VAE, header_of, language_model, t5, under, vae

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


def test_a_control_by_what_it_reads(tmp_path: Path) -> None:
    """A control-LoRA by the same width; a LLLite by blocks that only SDXL's UNet has."""
    down = "input_blocks.4.1.transformer_blocks.0.attn2.to_k.down"
    assert family(tmp_path / "lora", Kind.CONTROLNET, {down: torch.zeros(4, 2048)}) == "sdxl"
    for number, wanted in ((0, ""), (1, "sdxl")):
        name = f"lllite_unet_input_blocks_7_1_transformer_blocks_{number}_attn1_to_q.down.0.weight"
        found = family(tmp_path / str(number), Kind.CONTROLNET, {name: torch.zeros(4, 1280)})
        assert found == wanted


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
        ("Wan Video", "other"), ("", ""), ("something", ""), ("Hunyuan Video", "other"), ("HiDream", "other"),
        ("Flux.1 D", "flux"), ("Flux.1 S", "flux"), ("Flux.1 Kontext", "flux"), ("Flux.1 Krea", "flux"),
        ("flux1", "flux"), ("flux-1-dev/lora", "flux"), ("Flux.3", "other"),
        ("Flux.2 D", "flux2"), ("Flux.2 Klein 4B", "flux2"), ("Flux.2 Klein 9B-base", "flux2"),
        ("SD 3", "sd3"), ("SD 3.5", "sd3"), ("SD 3.5 Large Turbo", "sd3"), ("sd3m", "sd3"),
        ("stable-diffusion-3-medium/lora", "sd3"), ("Chroma", "chroma"),
        ("ZImageTurbo", "z-image"), ("ZImageBase", "z-image"), ("z-image-turbo", "z-image"),
        ("Qwen", "qwen-image"), ("qwen-image/lora", "qwen-image"), ("Qwen-Image-2.1", "other"),
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


def test_vaes(tmp_path: Path) -> None:
    """Those of transformers by their layout; those of four channels do not tell; others are none of ours."""
    decoder = "decoder.conv_in.weight"
    assert family(tmp_path / "a", Kind.VAE, {decoder: torch.zeros(8, 16, 3, 3)}) == "flux"
    assert family(tmp_path / "b", Kind.VAE, {decoder: torch.zeros(8, 4, 3, 3)}) == ""
    assert family(tmp_path / "c", Kind.VAE, {decoder: torch.zeros(8, 16, 3, 3, 3)}) == "qwen-image"
    assert family(tmp_path / "d", Kind.VAE, {decoder: torch.zeros(8, 12, 3, 3)}) == "other"


def test_who_draws_with_a_part(tmp_path: Path) -> None:
    """A text encoder or a VAE serves several families; the index says all of them, and which part it is."""
    store = Store(tmp_path, hashing=False)
    for kind, name, shapes in (
        (Kind.TEXT_ENCODER, "a", t5()),
        (Kind.TEXT_ENCODER, "b", language_model(2560, norms=True)),
        (Kind.TEXT_ENCODER, "c", language_model(64, norms=True)),
        (Kind.VAE, "ae", vae(16)),
        (Kind.VAE, "d", vae(16)),
        (Kind.VAE, "e", under("first_stage_model.", FLUX2_VAE)),
    ):
        sparse(store.folder(kind) / f"{name}.safetensors", shapes)
    found = {one.file.stem: (one.role, one.family, one.families) for one in store.index()}
    assert found == {
        "a": ("t5-xxl", "flux", ("flux", "sd3", "chroma")),
        "b": ("qwen3-4b", "z-image", ("z-image", "flux2")),
        "c": ("", "", ()),
        "ae": ("vae-flux", "flux", ("flux", "chroma", "z-image")),
        "d": ("vae-16", "flux", ("flux", "chroma", "z-image", "sd3")),
        "e": ("vae-flux2", "flux2", ("flux2",)),
    }


def kohya(name: str, gives: int, takes: int) -> Shapes:
    return {f"lora_unet_{name}.lora_down.weight": (8, takes), f"lora_unet_{name}.lora_up.weight": (gives, 8)}


def peft(name: str, gives: int, takes: int) -> Shapes:
    return {f"{name}.lora_A.weight": (8, takes), f"{name}.lora_B.weight": (gives, 8)}


TRANSFORMERS: tuple[tuple[str, Shapes], ...] = (
    ("flux", kohya("double_blocks_0_img_attn_qkv", 9216, 3072)),
    ("flux", kohya("single_blocks_37_linear1", 21504, 3072)),
    ("flux", kohya("single_blocks_37_modulation_lin", 9216, 3072)),
    ("flux", peft("transformer.single_transformer_blocks.37.attn.to_q", 3072, 3072)),
    ("flux", peft("transformer.transformer_blocks.18.attn.add_q_proj", 3072, 3072)),
    ("flux", peft("diffusion_model.double_blocks.0.img_attn.qkv", 9216, 3072)),
    ("flux", peft("double_blocks.0.img_attn.qkv", 9216, 3072)),
    ("flux", {"double_blocks.0.processor.qkv_lora1.down.weight": (16, 3072)}),
    ("flux", {"lora_transformer_single_transformer_blocks_0_attn_to_k.lora_down.weight": (16, 3072)}),
    ("flux", kohya("double_blocks_0_img_mlp_0", 12288, 3072)),
    ("flux", {"lora_te2_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight": (8, 4096)}),
    ("chroma", {**peft("diffusion_model.double_blocks.0.img_attn.qkv", 9216, 3072),
                **peft("diffusion_model.distilled_guidance_layer.layers.0.in_layer", 5120, 5120)}),
    ("flux2", kohya("double_blocks_0_img_attn_qkv", 18432, 6144)),
    ("flux2", kohya("double_blocks_0_img_attn_qkv", 12288, 4096)),
    ("flux2", {**kohya("double_blocks_0_img_attn_qkv", 9216, 3072),
               **kohya("single_blocks_3_linear1", 27648, 3072)}),
    ("flux2", peft("diffusion_model.double_blocks.0.img_mlp.0", 18432, 3072)),
    ("flux2", peft("transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj", 27648, 3072)),
    ("flux2", peft("transformer.transformer_blocks.0.ff.linear_in", 18432, 3072)),
    ("flux2", peft("transformer.transformer_blocks.0.attn.to_q", 6144, 6144)),
    ("sd3", kohya("joint_blocks_0_x_block_attn_qkv", 4608, 1536)),
    ("sd3", peft("transformer.transformer_blocks.0.attn.to_q", 1536, 1536)),
    ("sd3", peft("transformer.transformer_blocks.37.attn.add_k_proj", 2432, 2432)),
    ("sd3", {"lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight": (8, 4096)}),
    ("z-image", peft("diffusion_model.layers.0.attention.to_q", 3840, 3840)),
    ("z-image", kohya("layers_29_attention_qkv", 11520, 3840)),
    ("z-image", peft("transformer.noise_refiner.0.attention.to_k", 3840, 3840)),
    ("qwen-image", peft("transformer_blocks.59.attn.to_q", 3072, 3072)),
    ("qwen-image", peft("transformer.transformer_blocks.0.img_mlp.net.2", 3072, 12288)),
    ("qwen-image", kohya("transformer_blocks_0_txt_mod_1", 18432, 3072)),
    ("other", peft("diffusion_model.layers.0.attention.qkv", 6912, 2304)),
    ("other", peft("diffusion_model.blocks.0.cross_attn.q", 5120, 5120)),
    ("other", peft("transformer.transformer_blocks.0.attn.to_q", 64, 64)),
    ("other", peft("transformer.joint_transformer_blocks.0.attn.to_q", 3072, 3072)),
    ("other", kohya("double_blocks_0_img_attn_qkv", 3, 1)),
)  # fmt: skip


@pytest.mark.parametrize(("wanted", "shapes"), TRANSFORMERS)
def test_a_lora_of_a_transformer(wanted: str, shapes: Shapes) -> None:
    """In each spelling: kohya's, diffusers', the publishers', XLabs' and OneTrainer's."""
    alpha = {next(iter(shapes)).partition(".lora")[0] + ".alpha": ()}
    assert family_of_header(Kind.LORA, header_of({**alpha, **shapes})) == wanted


def test_a_lora_of_a_unet_is_none_of_these() -> None:
    """Its blocks have transformer blocks inside."""
    for key in KEYS:
        assert family_of_header(Kind.LORA, header_of({key: (4, 768)})) == "sd1"
    text = {"lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight": (4, 768)}
    assert family_of_header(Kind.LORA, header_of(text)) == ""


def test_a_controlnet_of_a_transformer() -> None:
    """It has the layers themselves."""
    own = {"controlnet_x_embedder.weight": (3072, 64)}
    flux = {**own, "single_transformer_blocks.0.attn.to_q.weight": (3072, 3072)}
    qwen = {**own, "transformer_blocks.0.img_mlp.net.0.proj.weight": (12288, 3072)}
    sd3 = {**own, "transformer_blocks.0.attn.to_q.weight": (1536, 1536)}
    found = [family_of_header(Kind.CONTROLNET, header_of(one)) for one in (flux, qwen, sd3)]
    assert found == ["flux", "qwen-image", "sd3"]


@pytest.mark.parametrize("width", WIDTHS)
def test_an_ip_adapter_by_what_it_gives(tmp_path: Path, width: int) -> None:
    """The width of the texts that its tokens stand beside, whatever it reads."""
    tensors = {
        "image_proj.proj.0.weight": torch.zeros(8, 4),
        "ip_adapter.1.to_k_ip.weight": torch.zeros(4, width),
    }
    tensors |= {"ip_adapter.0.to_q_lora.down.weight": torch.zeros(4, 4)}
    assert family(tmp_path, Kind.CONTROLNET, tensors) == WIDTHS[width]
