from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from easel.models import (
    Architecture,
    Kind,
    Sidecar,
    UnknownArchitecture,
    WrongKind,
    identify,
    read_sidecar,
    small_kind,
)
from easel.models.training import Fact, weigh
from tests.models.files import Shapes, header

U = "model.diffusion_model."
CLIP = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
OPEN_CLIP = "cond_stage_model.model.token_embedding.weight"


def beside(**said: Any) -> Sidecar:
    return Sidecar(facts=(Fact("m.yaml", **said),))


def unet(channels: int, context: int, width: int = 320) -> dict[str, tuple[int, ...]]:
    return {
        U + "input_blocks.0.0.weight": (width, channels, 3, 3),
        U + "input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight": (width, context),
    }


SD1 = {**unet(4, 768), CLIP: (10, 768)}
SD2 = {**unet(4, 1024), OPEN_CLIP: (10, 1024)}
XL_TEXT = {
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": (10, 768),
    "conditioner.embedders.1.model.token_embedding.weight": (10, 1280),
    U + "input_blocks.7.1.transformer_blocks.9.attn2.to_k.weight": (1280, 2048),
}
XL = {**unet(4, 2048), **XL_TEXT}


@pytest.mark.parametrize(
    ("shapes", "is_"),
    [
        (SD1, Architecture.SD1),
        ({**unet(9, 768), CLIP: (10, 768)}, Architecture.SD1_INPAINT),
        ({**unet(4, 768), CLIP.replace("text_model.", ""): (10, 768)}, Architecture.SD1),
        (SD2, Architecture.SD2),
        ({**unet(9, 1024), OPEN_CLIP: (10, 1024)}, Architecture.SD2_INPAINT),
        (XL, Architecture.SDXL),
        ({**unet(9, 2048), **XL_TEXT}, Architecture.SDXL_INPAINT),
        ({**XL, "v_pred": ()}, Architecture.SDXL_V),
        (
            {**unet(4, 1280, 384), "conditioner.embedders.0.model.token_embedding.weight": (10, 1280)},
            Architecture.SDXL_REFINER,
        ),
        ({**unet(4, 256, 64), CLIP: (10, 256)}, Architecture.STARTER),
    ],
)
def test_told_from_names_and_shapes(tmp_path: Path, shapes: Shapes, is_: Architecture) -> None:
    """Every family is told from the header alone, whatever the file is called."""
    assert identify(header(tmp_path, shapes), name="model.safetensors").architecture == is_


@pytest.mark.parametrize(
    ("name", "metadata", "sidecar", "is_", "told_by", "sure"),
    [
        ("v2-1_768-ema-pruned.safetensors", {}, Sidecar(), Architecture.SD2_V, "the file's name", True),
        ("512-base-ema.safetensors", {}, Sidecar(), Architecture.SD2, "the file's name", True),
        ("dream.safetensors", {}, Sidecar(), Architecture.SD2, "shapes", False),
        ("dream-17680.safetensors", {}, Sidecar(), Architecture.SD2, "shapes", False),
        (
            "dream.safetensors",
            {"modelspec.prediction_type": "v"},
            Sidecar(),
            Architecture.SD2_V,
            "the metadata modelspec.prediction_type",
            True,
        ),
        (
            "dream.safetensors",
            {"ss_v_parameterization": "True"},
            Sidecar(),
            Architecture.SD2_V,
            "the metadata ss_v_parameterization",
            True,
        ),
        (
            "x.safetensors",
            {"modelspec.architecture": "stable-diffusion-v2-768-v"},
            Sidecar(),
            Architecture.SD2_V,
            "the metadata modelspec.architecture",
            True,
        ),
        (
            "v2-768.safetensors",
            {"modelspec.prediction_type": "epsilon"},
            Sidecar(),
            Architecture.SD2,
            "the metadata modelspec.prediction_type",
            True,
        ),
        ("v2-768.safetensors", {}, beside(prediction="epsilon"), Architecture.SD2, "m.yaml", True),
        ("dream.safetensors", {}, beside(prediction="v_prediction"), Architecture.SD2_V, "m.yaml", True),
        (
            "dream.safetensors",
            {},
            Sidecar(architecture="sd2-inpaint"),
            Architecture.SD2_INPAINT,
            "the file beside it",
            True,
        ),
    ],
)
def test_what_an_sd2_predicts(
    tmp_path: Path,
    name: str,
    metadata: dict[str, str],
    sidecar: Sidecar,
    is_: Architecture,
    told_by: str,
    sure: bool,
) -> None:
    """Sidecar before metadata before file name; where nothing is known, the answer says so."""
    found = identify(header(tmp_path, SD2, metadata), name=name, sidecar=sidecar)
    assert (found.architecture, found.told_by, found.sure) == (is_, told_by, sure)


def test_a_name_does_not_turn_other_families(tmp_path: Path) -> None:
    """The 768 of a file name means v-prediction for SD 2.x only."""
    assert identify(header(tmp_path, SD1), name="portrait-768.safetensors").architecture == Architecture.SD1
    found = identify(header(tmp_path, XL), name="xl-768.safetensors")
    assert (found.architecture, found.sure) == (Architecture.SDXL, True)


def test_the_starter_says_so_itself(tmp_path: Path) -> None:
    """A checkpoint with our metadata is the starter, but a LoRA with it is still a LoRA."""
    assert identify(header(tmp_path, SD1, {"easel.family": "starter"})).architecture == Architecture.STARTER
    lora = {"lora_unet_down_blocks_0.lora_down.weight": (4, 64)}
    with pytest.raises(WrongKind, match="a LoRA"):
        identify(header(tmp_path, lora, {"easel.family": "starter"}))


@pytest.mark.parametrize(
    ("shapes", "kind", "says"),
    [
        (
            {"lora_unet_mid.lora_down.weight": (4, 320), "lora_unet_mid.alpha": ()},
            Kind.LORA,
            "a LoRA.*models/Lora",
        ),
        ({"unet.mid_block.to_q.lora_A.weight": (4, 320)}, Kind.LORA, "a LoRA"),
        ({"lora_te_text_model.hada_w1_a": (4, 320)}, Kind.LORA, "a LoRA"),
        (
            {"encoder.conv_in.weight": (128, 3, 3, 3), "decoder.conv_in.weight": (512, 4, 3, 3)},
            Kind.VAE,
            "a VAE.*models/VAE",
        ),
        ({"first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3)}, Kind.VAE, "a VAE"),
        ({"emb_params": (4, 768)}, Kind.EMBEDDING, "textual inversion.*models/embeddings"),
        ({"clip_l": (4, 768), "clip_g": (4, 1280)}, Kind.EMBEDDING, "textual inversion"),
        ({"<sks>": (768,)}, Kind.EMBEDDING, "textual inversion"),
        (
            {"control_model.input_blocks.0.0.weight": (320, 4, 3, 3)},
            Kind.CONTROLNET,
            "ControlNet.*models/ControlNet",
        ),
        (
            {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3), "conv_in.weight": (320, 4, 3, 3)},
            Kind.CONTROLNET,
            "ControlNet",
        ),
        ({"adapter.body.0.block1.weight": (320, 320, 3, 3)}, Kind.CONTROLNET, "T2I-Adapter"),
        (
            {"ip_adapter.1.to_k_ip.weight": (320, 768), "image_proj.proj.weight": (3072, 1024)},
            Kind.CONTROLNET,
            "IP-Adapter",
        ),
        (
            {"ip_adapter.1.to_k_ip.weight": (320, 768), "ip_adapter.0.to_q_lora.down.weight": (128, 320)},
            Kind.CONTROLNET,
            "IP-Adapter",
        ),
        (
            {"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": (32, 64, 3, 3)},
            Kind.UPSCALER,
            "upscaler.*models/ESRGAN",
        ),
        ({"body.0.weight": (64, 3, 3, 3), "body.1.weight": (64,)}, Kind.UPSCALER, "upscaler"),
        ({"conv_1.sk.weight": (48, 3, 1, 1), "conv_cat.weight": (48, 192, 1, 1)}, Kind.UPSCALER, "upscaler"),
        ({"m_head.0.weight": (64, 3, 3, 3), "m_tail.0.weight": (3, 64, 3, 3)}, Kind.UPSCALER, "upscaler"),
        (
            {"stylegan_decoder.style_mlp.1.weight": (512, 512), "toRGB.0.weight": (3, 8, 1, 1)},
            Kind.FACE_RESTORER,
            "GFPGAN",
        ),
        ({"module.LandmarkHead.0.conv1x1.weight": (20, 256, 1, 1)}, Kind.FACE_RESTORER, "face detector"),
        (
            {"quantize.embedding.weight": (8, 8), "decoder.conv_in.weight": (8, 8, 3, 3)},
            Kind.FACE_RESTORER,
            "Restore",
        ),
        (
            {"vision_model.embeddings.patch_embedding.weight": (1280, 3, 14, 14)},
            Kind.IMAGE_ENCODER,
            "image encoder",
        ),
        (
            {
                "text_model.embeddings.token_embedding.weight": (49408, 768),
                "text_model.x": (2, 2),
                "y": (3, 3),
            },
            Kind.TEXT_ENCODER,
            "text encoder",
        ),
        (
            {"down_blocks.0.motion_modules.0.norm.weight": (320, 3), "b": (1, 1), "c": (1, 1)},
            None,
            "AnimateDiff",
        ),
    ],
)
def test_other_kinds_say_where_they_belong(
    tmp_path: Path, shapes: Shapes, kind: Kind | None, says: str
) -> None:
    """A file of another kind among the checkpoints is named, with the folder it belongs in."""
    made = header(tmp_path, shapes)
    found = small_kind(made)
    assert found is not None
    assert found[0] is kind
    with pytest.raises(WrongKind, match=says) as error:
        identify(made, name="x.safetensors")
    assert str(error.value).startswith("x.safetensors: this is ")
    assert error.value.folder == (kind.folder if kind else None)


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ({U + "double_blocks.0.img_attn.qkv.weight": (9216, 3072)}, "a relative of FLUX.1"),
        ({"early_stream_modulations.image.lin.weight": (1, 1)}, "FLUX.3"),
        ({"double_layers.0.attn.w2q.weight": (1, 1)}, "AuraFlow"),
        ({"adaln_single.linear.weight": (1, 1)}, "PixArt"),
        ({"transformer_blocks.0.qkv_proj.qweight": (9216, 1536)}, "half of a model for nunchaku"),
        ({"head.modulation": (1, 2, 3)}, "Wan"),
        ({"txt_in.text_norm.weight": (2,)}, "Qwen-Image 2.1"),
        ({"clip_txt_mapper.weight": (1536, 1)}, "Stable Cascade"),
        ({**XL, "edm_mean": (4,)}, "Playground"),
        ({**unet(8, 768), CLIP: (10, 768)}, "InstructPix2Pix"),
        ({**unet(7, 1024), OPEN_CLIP: (10, 1024)}, "x4 upscaler"),
        ({**unet(5, 1024), OPEN_CLIP: (10, 1024)}, "depth"),
        ({**SD2, U + "label_emb.0.0.weight": (1, 2)}, "unCLIP"),
        ({**SD1, "control_model.zero.weight": (1, 1)}, "ControlNet inside"),
        (
            {**unet(4, 2048), **{key: value for key, value in XL_TEXT.items() if "7.1" not in key}},
            "pruned SDXL",
        ),
        (unet(4, 768), "SD 1.x UNet without its text encoder"),
        (unet(4, 2048), "SDXL UNet without its text encoder"),
        ({**unet(4, 999), CLIP: (10, 999)}, "attends to 999"),
        ({**unet(6, 768), CLIP: (10, 768)}, "takes 6 channels"),
        ({U + "input_blocks.0.0.weight": (320, 4, 3, 3), CLIP: (10, 768)}, "does not attend to text"),
        (
            {
                "conv_in.weight": (320, 4, 3, 3),
                "down_blocks.0.resnets.0.conv1.weight": (1, 1, 3, 3),
                "x": (9, 9),
            },
            "a UNet alone",
        ),
        (
            {"what.ever": (3, 3), "and.this": (4, 4), "or.that": (5, 5)},
            "unknown kind; its tensors begin with and.this",
        ),
        ({}, "holds no tensors"),
    ],
)
def test_models_that_are_not_drawn_with(tmp_path: Path, shapes: Shapes, says: str) -> None:
    """A model of a family that the studio does not know, or does not draw with, is named, not tried."""
    with pytest.raises(UnknownArchitecture, match=says):
        identify(header(tmp_path, shapes), name="x.safetensors")


def test_an_unknown_architecture_beside_the_file(tmp_path: Path) -> None:
    """A sidecar that names no family is an error that lists the families."""
    with pytest.raises(UnknownArchitecture, match="'sd9'; allowed: starter, sd1"):
        identify(header(tmp_path, SD1), sidecar=Sidecar(architecture="sd9"))


V, EPS = "v_prediction", "epsilon"


@pytest.mark.parametrize(
    ("name", "text", "architecture", "prediction", "zero"),
    [
        ("m.yaml", "model:\n  params:\n    parameterization: v\n", "", V, None),
        ("m.yml", 'model: {params: {parameterization: "v", ztsnr: true}}', "", V, True),
        ("m.yaml", "model: {params: {parameterization: eps}}", "", EPS, None),
        ("m.yaml", "model: {params: {use_zero_snr: yes}}", "", "", True),
        ("m.yaml", "model: {params: {scheduler_config: {rescale_betas_zero_snr: false}}}", "", "", False),
        (
            "m.yaml",
            "model: {params: {denoiser_config: {params: {scaling_config: {target: sgm.x.VScaling}, "
            "discretization_config: {target: sgm.y.ZeroSNRDDPMDiscretization}}}}}",
            "",
            V,
            True,
        ),
        ("m.json", '{"easel": {"architecture": "sd2-v"}}', "sd2-v", "", None),
        ("m.json", '{"easel": {"prediction_type": "v_prediction"}}', "", V, None),
        ("m.json", '{"prediction_type": "v", "zsnr": true}', "", V, True),
        ("m.json", '{"description": "", "sd version": "SD2", "activation text": ""}', "", "", None),
        ("m.civitai.info", '{"baseModel": "SD 2.1 768", "trainedWords": []}', "", V, None),
        ("m.civitai.info", '{"baseModel": "SD 1.5"}', "", "", None),
        ("m.json", "{not json", "", "", None),
        ("m.json", "[1, 2]", "", "", None),
        ("m.json", '{"prediction_type": ["v"], "zsnr": {"a": 1}}', "", "", None),
        ("m.yaml", "a: [unclosed", "", "", None),
        ("m.yaml", "!!python/object/apply:os.system ['true']", "", "", None),
        ("m.yaml", "a: &a {b: v}\nc: &c [*a, *a]\nparameterization: *c", "", "", None),
        ("m.yaml", "model: 3", "", "", None),
        ("other.yaml", "model: {params: {parameterization: v}}", "", "", None),
    ],
)
def test_sidecars(
    tmp_path: Path, name: str, text: str, architecture: str, prediction: str, zero: bool | None
) -> None:
    """What a sidecar says is used; what cannot be understood counts as silence and runs no code."""
    (tmp_path / name).write_text(text)
    found = read_sidecar(tmp_path / "m.safetensors")
    verdict = weigh(found.facts)
    assert (found.architecture, verdict.prediction, verdict.zero_snr) == (architecture, prediction, zero)
    assert found.files == ((name,) if architecture or prediction or zero is not None else ())


def test_yaml_that_grows(tmp_path: Path) -> None:
    """Aliases of aliases are read as they stand, not written out: nine levels would be a billion tables."""
    levels = "".join(
        f"l{n + 1}: &l{n + 1} {{{', '.join(f'k{i}: *l{n}' for i in range(9))}}}\n" for n in range(9)
    )
    (tmp_path / "m.yaml").write_text("l0: &l0 {parameterization: v}\n" + levels)
    began = time.process_time()
    assert weigh(read_sidecar(tmp_path / "m.safetensors").facts).prediction == V
    assert time.process_time() - began < 5


def test_a_huge_sidecar_is_not_parsed(tmp_path: Path) -> None:
    """A file of megabytes is no configuration."""
    (tmp_path / "m.yaml").write_text("model: {params: {parameterization: v}}\n" + "#" * 2_000_000)
    assert read_sidecar(tmp_path / "m.safetensors") == Sidecar()
