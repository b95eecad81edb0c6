"""Which part of a model a file holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from easel.models import Kind, Store, UnknownArchitecture, WrongKind, identify, is_vae, small_kind
from easel.models.parts import text_encoder_role, vae_role
from tests.models.files import Shapes, sparse
from tests.models.layouts import (
    FLUX2_VAE,
    GGUF_T5,
    QWEN_VAE_OF_DIFFUSERS,
    UMT5,
    WAN_VAE,
    clip,
    flux_transformer,
    gguf_language_model,
    header_of,
    language_model,
    open_clip,
    t5,
    vae,
)

TEXTS: tuple[tuple[str, Shapes], ...] = (
    ("clip-l", clip(768)),
    ("clip-l", clip(768, "")),
    ("clip-g", clip(1280)),
    ("clip-g", open_clip(1280)),
    ("t5-xxl", t5()),
    ("t5-xxl", GGUF_T5),
    ("qwen3-4b", language_model(2560, norms=True)),
    ("qwen3-4b", language_model(2560, "", norms=True)),
    ("qwen3-4b", gguf_language_model(2560, norms=True)),
    ("qwen3-8b", language_model(4096, norms=True)),
    ("qwen3-8b", gguf_language_model(4096, norms=True)),
    ("qwen2.5-vl-7b", language_model(3584, bias=True)),
    ("qwen2.5-vl-7b", {**language_model(3584, bias=True), "visual.patch_embed.proj.weight": (1280, 3)}),
    ("qwen2.5-vl-7b", language_model(3584, "model.language_model.", bias=True)),
    ("qwen2.5-vl-7b", gguf_language_model(3584, bias=True)),
    ("mistral-small-24b", language_model(5120)),
    ("mistral-small-24b", language_model(5120, "language_model.model.")),
    ("mistral-small-24b", gguf_language_model(5120)),
)
GEMMA = {**language_model(2560, norms=True), "model.layers.0.pre_feedforward_layernorm.weight": (2560,)}
NOT_OURS: tuple[tuple[str, Shapes], ...] = (
    ("UMT5, of Wan", UMT5),
    ("a smaller T5", t5(2048)),
    ("SD 2's OpenCLIP", open_clip(1024)),
    ("Llama 3 8B", language_model(4096)),
    ("Qwen3 1.7B", language_model(2048, norms=True)),
    ("Gemma 3 4B, as wide as Qwen3 4B", GEMMA),
    ("Gemma 3 as GGUF", {**gguf_language_model(2560, norms=True), "blk.0.post_ffw_norm.weight": (2560,)}),
    (
        "Qwen3-VL 4B",
        {
            **language_model(2560, "model.language_model.", norms=True),
            "model.visual.blocks.0.attn.qkv.weight": (9, 9),
        },
    ),
    ("a VAE", vae(16)),
    ("a transformer", flux_transformer()),
    ("nothing", {}),
)


@pytest.mark.parametrize(("role", "shapes"), TEXTS)
def test_text_encoders(role: str, shapes: Shapes) -> None:
    """Under each publisher's names; a file of it is no checkpoint, and says where it belongs."""
    found = header_of(shapes)
    assert text_encoder_role(found.tensors, "a.safetensors") == role
    assert vae_role(found.tensors, "ae.safetensors") == ""
    kind = small_kind(found)
    assert kind is not None
    assert kind[0] is Kind.TEXT_ENCODER
    with pytest.raises(WrongKind, match=r"the text encoder .*it belongs in models/text_encoder"):
        identify(found, name="a.safetensors")


@pytest.mark.parametrize(("what", "shapes"), NOT_OURS, ids=[one for one, _ in NOT_OURS])
def test_other_text_encoders(what: str, shapes: Shapes) -> None:
    """What merely looks like one of them is none, whatever it is called unless its width is unknown."""
    assert text_encoder_role(header_of(shapes).tensors, "a.safetensors") == ""


@pytest.mark.parametrize(
    ("name", "shapes", "role"),
    [
        ("clip_l.safetensors", clip(32), "clip-l"),
        ("text/CLIP-G.safetensors", clip(32), "clip-g"),
        ("t5xxl_fp16.safetensors", t5(64), "t5-xxl"),
        ("t5-v1_1-xxl-encoder-Q5_K_M.gguf", t5(64), "t5-xxl"),
        ("qwen_3_4b.safetensors", language_model(64, norms=True), "qwen3-4b"),
        ("Qwen3-8B-Q4_K_M.gguf", gguf_language_model(64, norms=True), "qwen3-8b"),
        ("qwen_2.5_vl_7b.safetensors", language_model(64, bias=True), "qwen2.5-vl-7b"),
        ("mistral_3_small_flux2_fp8.safetensors", language_model(64), "mistral-small-24b"),
        ("t5xxl.safetensors", clip(32), ""),
        ("clip_large.safetensors", clip(32), ""),
        ("clip_l/dream.safetensors", clip(32), ""),
    ],
)
def test_an_unknown_width_by_its_name(name: str, shapes: Shapes, role: str) -> None:
    """The name tells among what the layout may be, never against it; folders are no part of it."""
    assert text_encoder_role(header_of(shapes).tensors, name) == role


@pytest.mark.parametrize(
    ("shapes", "name", "role"),
    [
        (vae(16), "ae.safetensors", "vae-flux"),
        (vae(16), "new/FLUX_vae.safetensors", "vae-flux"),
        (vae(16), "sd3.5_vae.safetensors", "vae-sd3"),
        (vae(16), "aesthetic.safetensors", "vae-16"),
        (vae(16), "flux/dream.safetensors", "vae-16"),
        (FLUX2_VAE, "a.safetensors", "vae-flux2"),
        (vae(32), "flux2-vae.safetensors", ""),
        (WAN_VAE, "qwen_image_vae.safetensors", "vae-qwen"),
        (QWEN_VAE_OF_DIFFUSERS, "a.safetensors", "vae-qwen"),
        ({**WAN_VAE, "decoder.conv1.weight": (1024, 48, 3, 3, 3)}, "wan2.2_vae.safetensors", ""),
        (vae(4), "ae.safetensors", ""),
        ({"decoder.conv_in.weight": (512,)}, "ae.safetensors", ""),
        ({}, "ae.safetensors", ""),
    ],
)
def test_vaes(shapes: Shapes, name: str, role: str) -> None:
    """By channels and layout; of SD 3's and FLUX.1's, which are alike, by the name."""
    assert vae_role(header_of(shapes).tensors, name) == role


@pytest.mark.parametrize("shapes", [vae(16), FLUX2_VAE, WAN_VAE, QWEN_VAE_OF_DIFFUSERS, vae(4)])
def test_all_are_vaes(shapes: Shapes) -> None:
    """Those of video models, too; they belong in models/VAE."""
    assert is_vae(header_of(shapes))
    with pytest.raises(WrongKind, match="models/VAE"):
        identify(header_of(shapes))


def test_where_people_have_them(tmp_path: Path) -> None:
    """A1111's and Forge's folders and ComfyUI's: transformers are checkpoints wherever they lie."""
    store = Store(tmp_path, hashing=False)
    for folder in ("Stable-diffusion", "diffusion_models", "unet"):
        sparse(tmp_path / folder / f"{folder}.safetensors", {"a": (2,)})
    for folder in ("text_encoder", "text_encoders", "clip"):
        sparse(tmp_path / folder / "sub" / f"{folder}.safetensors", {"a": (2,)})
    assert [file.name for file in store.checkpoints()] == [
        "diffusion_models/diffusion_models.safetensors",
        "Stable-diffusion.safetensors",
        "unet/unet.safetensors",
    ]
    assert [file.below_store for file in store.files(Kind.TEXT_ENCODER)] == [
        "clip/sub/clip.safetensors",
        "text_encoder/sub/text_encoder.safetensors",
        "text_encoders/sub/text_encoders.safetensors",
    ]
    assert store.find_checkpoint("unet").path == tmp_path / "unet/unet.safetensors"


def test_an_unknown_model_is_still_unknown() -> None:
    """A language model's kin that no layout names."""
    with pytest.raises(UnknownArchitecture, match="unknown kind"):
        identify(header_of({"rwkv.blocks.0.att.key.weight": (9, 9), "b.c": (9, 9), "c.d": (3, 3)}))
