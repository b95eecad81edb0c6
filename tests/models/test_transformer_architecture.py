"""Families whose transformer predicts a flow, told from the header alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch

from easel.models import (
    Architecture,
    Kind,
    LyingHeader,
    Sidecar,
    Store,
    UnknownArchitecture,
    WrongKind,
    identify,
    identify_folder,
    read_sidecar,
)
from tests.models.files import Shapes, sparse
from tests.models.layouts import (
    CHROMA_TRANSFORMER,
    QWEN_IMAGE_TRANSFORMER,
    Z_IMAGE_TRANSFORMER,
    U,
    flux2_transformer,
    flux_transformer,
    header_of,
    sd3_transformer,
    under,
)

PUBLISHED: tuple[tuple[str, Shapes], ...] = (
    ("sd3", sd3_transformer(1536)),
    ("sd35-medium", sd3_transformer(1536, second=True, norms=True)),
    ("sd35-large", sd3_transformer(2432, norms=True)),
    ("flux-dev", flux_transformer()),
    ("flux-schnell", flux_transformer(guided=False)),
    ("flux-fill", flux_transformer(384)),
    ("chroma", CHROMA_TRANSFORMER),
    ("z-image", Z_IMAGE_TRANSFORMER),
    ("flux2", flux2_transformer(6144)),
    ("flux2-klein-4b", flux2_transformer(3072)),
    ("flux2-klein-9b", flux2_transformer(4096)),
    ("qwen-image", QWEN_IMAGE_TRANSFORMER),
)
TEXT_AND_VAE: Shapes = {
    "text_encoders.clip_l.transformer.text_model.embeddings.token_embedding.weight": (49408, 768),
    "first_stage_model.decoder.conv_in.weight": (512, 16, 3, 3),
}


@pytest.mark.parametrize(("is_", "shapes"), PUBLISHED, ids=[one for one, _ in PUBLISHED])
def test_as_published(is_: str, shapes: Shapes) -> None:
    """The transformer alone, behind the checkpoint prefix, and in one file with all that it needs."""
    for there in (shapes, under(U, shapes), {**under(U, shapes), **TEXT_AND_VAE}):
        found = identify(header_of(there), name="model.safetensors")
        assert (found.architecture, found.told_by, found.sure) == (is_, "shapes", True)
        assert (found.prediction, found.zero_snr) == ("", None)


DIFFUSERS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("sd3", diffusers.SD3Transformer2DModel, {}),
    (
        "sd35-medium",
        diffusers.SD3Transformer2DModel,
        {"qk_norm": "rms_norm", "dual_attention_layers": (0,)},
    ),
    ("sd35-large", diffusers.SD3Transformer2DModel, {"qk_norm": "rms_norm"}),
    ("flux-dev", diffusers.FluxTransformer2DModel, {"guidance_embeds": True}),
    ("flux-schnell", diffusers.FluxTransformer2DModel, {}),
    ("flux-fill", diffusers.FluxTransformer2DModel, {"guidance_embeds": True, "in_channels": 384}),
    ("chroma", diffusers.ChromaTransformer2DModel, {}),
    ("z-image", diffusers.ZImageTransformer2DModel, {}),
    ("flux2", diffusers.Flux2Transformer2DModel, {}),
    ("flux2-klein-4b", diffusers.Flux2Transformer2DModel, {"num_attention_heads": 24}),
    ("flux2-klein-9b", diffusers.Flux2Transformer2DModel, {"num_attention_heads": 32}),
    ("qwen-image", diffusers.QwenImageTransformer2DModel, {}),
)


@pytest.mark.parametrize(("is_", "made", "config"), DIFFUSERS, ids=[one[0] for one in DIFFUSERS])
def test_under_the_names_of_diffusers(is_: str, made: Any, config: dict[str, Any]) -> None:
    """The very tensors that diffusers' class has, as a file of `transformer/` taken out of its folder."""
    with torch.device("meta"):
        network = made(**config)
    shapes = {name: tuple(one.shape) for name, one in network.state_dict().items()}
    assert identify(header_of(shapes), name="model.safetensors").architecture == is_


PAIRS = (
    (flux_transformer(), "flux-dev", "flux-kontext", "flux1-kontext-dev-Q4_K_S.gguf"),
    (Z_IMAGE_TRANSFORMER, "z-image", "z-image-turbo", "z_image_turbo_bf16.safetensors"),
    (QWEN_IMAGE_TRANSFORMER, "qwen-image", "qwen-image-edit", "qwen_image_edit_2509_fp8_e4m3fn.safetensors"),
)


@pytest.mark.parametrize(("shapes", "first", "second", "name"), PAIRS, ids=[one[1] for one in PAIRS])
def test_pairs_with_the_same_tensors(shapes: Shapes, first: str, second: str, name: str) -> None:
    """The name tells where nothing else does; the metadata come before it, the file beside before both."""
    plain = identify(header_of(shapes), name="dream.safetensors")
    assert (plain.architecture, plain.told_by) == (first, "shapes")
    named = identify(header_of(shapes), name=name)
    assert (named.architecture, named.told_by) == (second, "the file's name")
    title = header_of(shapes, {"modelspec.title": name.partition(".")[0]})
    said = identify(title, name="dream.safetensors")
    assert (said.architecture, said.told_by) == (second, "the metadata modelspec.title")
    beside = identify(header_of(shapes), name=name, sidecar=Sidecar(architecture=first))
    assert (beside.architecture, beside.told_by) == (first, "the file beside it")


@pytest.mark.parametrize(
    ("shapes", "name", "word", "is_"),
    [
        (flux_transformer(), "mine.safetensors", "Flux.1 Kontext", "flux-kontext"),
        (flux_transformer(), "anti-kontext.safetensors", "Flux.1 D", "flux-dev"),
        (Z_IMAGE_TRANSFORMER, "mine.safetensors", "ZImageTurbo", "z-image-turbo"),
        (Z_IMAGE_TRANSFORMER, "no-turbo.safetensors", "ZImageBase", "z-image"),
        (QWEN_IMAGE_TRANSFORMER, "qwen-edit.safetensors", "Qwen", "qwen-image-edit"),
        (flux_transformer(), "mine.safetensors", "ZImageTurbo", "flux-dev"),
        (flux_transformer(guided=False), "kontext.safetensors", "Flux.1 Kontext", "flux-schnell"),
        (QWEN_IMAGE_TRANSFORMER, "credits.safetensors", "", "qwen-image"),
    ],
)
def test_the_word_of_civitai(tmp_path: Path, shapes: Shapes, name: str, word: str, is_: str) -> None:
    """`baseModel` decides within a pair, and never against the shapes."""
    (tmp_path / name).with_suffix(".civitai.info").write_text(json.dumps({"baseModel": word}))
    sidecar = read_sidecar(tmp_path / name)
    assert identify(header_of(shapes), name=name, sidecar=sidecar).architecture == is_


def test_packed_by_bitsandbytes() -> None:
    """NF4 keeps two weights in a byte and no shape: channels are told by the bias's length."""
    for channels, is_ in ((64, "flux-dev"), (384, "flux-fill")):
        shapes = {**flux_transformer(channels), "img_in.weight": (3072 * channels // 2, 1)}
        found = identify(
            header_of(under(U, shapes), dtypes={U + "img_in.weight": "U8"}), name="nf4.safetensors"
        )
        assert found.architecture == is_


@pytest.mark.parametrize(
    ("width", "is_"), [(6144, "flux2"), (3072, "flux2-klein-4b"), (4096, "flux2-klein-9b")]
)
@pytest.mark.parametrize("way", ["rows", "column"])
def test_two_weights_in_a_byte(width: int, is_: str, way: str) -> None:
    """In NVFP4 half as many columns, in NF4 one: FLUX.2 dev's is not taken for klein's, which is half as
    wide, and Fill's is known by its channels."""
    name = "single_stream_modulation.lin.weight"
    packed = (3 * width, width // 2) if way == "rows" else (3 * width * width // 2, 1)
    shapes = {**flux2_transformer(width), name: packed}
    assert identify(header_of(shapes, dtypes={name: "U8"}), name="x.safetensors").architecture == is_
    fill = {**flux_transformer(384), "img_in.weight": (3072, 192)}
    found = identify(header_of(fill, dtypes={"img_in.weight": "U8"}), name="x.safetensors")
    assert found.architecture == "flux-fill"


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        (flux_transformer(128), "FLUX.1 Depth or Canny"),
        (flux_transformer(192), "takes 192 channels"),
        ({**CHROMA_TRANSFORMER, "nerf_blocks.0.param_generator.weight": (9, 9)}, "Radiance"),
        (flux2_transformer(5120), "5120 wide, as none of the known FLUX.2"),
        ({**Z_IMAGE_TRANSFORMER, "siglip_embedder.0.weight": (1152,)}, "Z-Image-Omni"),
        (
            {**QWEN_IMAGE_TRANSFORMER, "time_text_embed.addition_t_embedding.weight": (2, 3072)},
            "Qwen-Image-Layered",
        ),
        (
            {
                **{name: one for name, one in flux_transformer().items() if not name.startswith("txt_in")},
                "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias": (6144,),
            },
            "HunyuanVideo",
        ),
        ({"cap_embedder.0.weight": (2304,), "layers.0.adaLN_modulation.1.weight": (9, 9)}, "Lumina"),
    ],
)
def test_relatives_are_named(shapes: Shapes, says: str) -> None:
    """What grew from these families and draws otherwise is refused in words, with and without the prefix."""
    for there in (shapes, under(U, shapes)):
        with pytest.raises(UnknownArchitecture, match=says):
            identify(header_of(there), name="x.safetensors")


@pytest.mark.parametrize(
    "own", ["controlnet_blocks.0.weight", "controlnet_x_embedder.weight", "control_layers.0.after_proj.bias"]
)
def test_a_controlnet_is_no_checkpoint(own: str) -> None:
    """A ControlNet has its family's names, and a few of its own that tell it."""
    for shapes in (flux_transformer(), Z_IMAGE_TRANSFORMER, QWEN_IMAGE_TRANSFORMER):
        with pytest.raises(
            WrongKind, match=r"a ControlNet of a family with a transformer.*models/ControlNet"
        ):
            identify(header_of({**shapes, own: (3072, 3072)}), name="x.safetensors")


def test_a_lora_of_a_transformer_is_a_lora() -> None:
    """With the transformer's names in its own."""
    shapes = {"double_blocks.0.img_attn.qkv.lora_A.weight": (16, 3072)}
    with pytest.raises(WrongKind, match="a LoRA"):
        identify(header_of(shapes), name="x.safetensors")


def folder(path: Path, pipeline: str, config: object) -> Path:
    (path / "transformer").mkdir(parents=True)
    (path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    (path / "transformer/config.json").write_text(json.dumps(config))
    sparse(path / "transformer/diffusion_pytorch_model.safetensors", {"x_embedder.bias": (4,)}, "BF16")
    return path


@pytest.mark.parametrize(
    ("pipeline", "config", "is_"),
    [
        ("StableDiffusion3Pipeline", {"num_layers": 24, "qk_norm": None}, "sd3"),
        (
            "StableDiffusion3Pipeline",
            {"dual_attention_layers": [0, 1, 2], "qk_norm": "rms_norm"},
            "sd35-medium",
        ),
        (
            "StableDiffusion3Pipeline",
            {"num_layers": 38, "qk_norm": "rms_norm", "dual_attention_layers": []},
            "sd35-large",
        ),
        ("FluxPipeline", {"guidance_embeds": True, "in_channels": 64}, "flux-dev"),
        ("FluxPipeline", {"guidance_embeds": False}, "flux-schnell"),
        ("FluxFillPipeline", {"guidance_embeds": True, "in_channels": 384}, "flux-fill"),
        ("FluxKontextPipeline", {"guidance_embeds": True}, "flux-kontext"),
        ("ChromaPipeline", {}, "chroma"),
        ("ZImagePipeline", {"dim": 3840}, "z-image"),
        ("Flux2Pipeline", {}, "flux2"),
        ("Flux2KleinPipeline", {"num_attention_heads": 24}, "flux2-klein-4b"),
        ("Flux2KleinPipeline", {"num_attention_heads": 32, "attention_head_dim": 128}, "flux2-klein-9b"),
        ("QwenImagePipeline", {}, "qwen-image"),
        ("QwenImageEditPipeline", {}, "qwen-image-edit"),
        ("QwenImageEditPlusPipeline", {}, "qwen-image-edit"),
    ],
)
def test_folders(tmp_path: Path, pipeline: str, config: object, is_: str) -> None:
    """A folder of diffusers' layout says it by its pipeline and its transformer's configuration."""
    store = Store(tmp_path, hashing=False)
    made = folder(store.folder(Kind.CHECKPOINT) / "it", pipeline, config)
    found = identify_folder(made)
    assert (found.architecture, found.told_by) == (is_, "its configuration")
    (entry,) = store.index(Kind.CHECKPOINT)
    assert (entry.architecture, entry.precision, entry.problem) == (is_, "bf16", "")


def test_a_folder_by_its_name(tmp_path: Path) -> None:
    """Z-Image-Turbo has Z-Image's configuration; the folder's name tells, or the file beside it."""
    found = identify_folder(folder(tmp_path / "Z-Image-Turbo", "ZImagePipeline", {}))
    assert (found.architecture, found.told_by) == ("z-image-turbo", "the file's name")
    other = folder(tmp_path / "mine", "ZImagePipeline", {})
    (tmp_path / "mine.json").write_text('{"easel": {"architecture": "z-image-turbo"}}')
    assert identify_folder(other).architecture == Architecture.Z_IMAGE_TURBO


@pytest.mark.parametrize(
    ("pipeline", "config", "error", "says"),
    [
        ("FluxPipeline", {"in_channels": 128}, UnknownArchitecture, "a variant for FluxPipeline"),
        ("FluxControlPipeline", {"in_channels": 128}, UnknownArchitecture, "diffusers' FluxControlPipeline"),
        ("Flux2Pipeline", {"num_attention_heads": "48"}, UnknownArchitecture, "a variant for Flux2Pipeline"),
        ("Flux2Pipeline", {"num_attention_heads": 7}, UnknownArchitecture, "a variant for Flux2Pipeline"),
        ("FluxPipeline", ["in_channels"], LyingHeader, "not a table"),
        ("WanPipeline", {}, UnknownArchitecture, "diffusers' WanPipeline.*it draws with SD 1.x"),
    ],
)
def test_folders_that_are_not_drawn_with(
    tmp_path: Path, pipeline: str, config: object, error: type[Exception], says: str
) -> None:
    """By name, whatever a stranger's configuration holds."""
    with pytest.raises(error, match=says):
        identify_folder(folder(tmp_path / "it", pipeline, config))
