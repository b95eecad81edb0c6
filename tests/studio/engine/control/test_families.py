"""ControlNets and T2I-Adapters of SD 1.x and SDXL, in every layout of files: diffusers' own picture."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    ControlNetUnionModel,
    EulerDiscreteScheduler,
    StableDiffusionAdapterPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLAdapterPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLControlNetUnionPipeline,
    T2IAdapter,
)
from PIL import Image, ImageDraw

from easel.models import Architecture, FileError, Incomplete, ModelFile, Store, UnknownArchitecture, WrongKind
from easel.studio.engine import ControlUnit, TextToImage
from easel.studio.engine.control_models.control_cache import ControlCache
from easel.studio.engine.control_models.control_file import load_control
from easel.studio.engine.control_models.control_models import ControlModels
from easel.studio.engine.control_models.controls import prepared_controls
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.memory.device_memory import DeviceMemory
from easel.studio.png import encode
from scripts.starter import layout
from tests.studio.engine.control.driving import controlnet, drawn, in_memory, spoken, stored
from tests.studio.engine.tiny import Tiny, tiny

ASKED = TextToImage(prompt="a red circle", negative_prompt="green", width=128, height=128, steps=4, seed=7,
                    sampler="Euler")  # fmt: skip
RING = Image.new("RGB", (128, 128))
ImageDraw.Draw(RING).ellipse((20, 10, 90, 80), outline="white", width=6)
UNIT = ControlUnit(model="net", image=encode(RING), weight=0.8)
CPU = torch.device("cpu")
Tensors = dict[str, torch.Tensor]
PLAIN: dict[int, tuple[Tiny, np.ndarray]] = {}


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Tiny]:
    folder = tmp_path_factory.mktemp("families")
    return {one: tiny(one, folder) for one in (Architecture.SD1, Architecture.SD2, Architecture.SDXL)}


def judged(small: Tiny, kind: Any, image: Any, asked: dict[str, Any], **parts: Any) -> np.ndarray:
    """The picture of one of diffusers' pipelines."""
    whole = in_memory(small)
    config = {**small.family.scheduler_config, "timestep_spacing": "linspace"}
    texts = {"text_encoder": whole.text_encoders[0], "tokenizer": whole.tokenizers[0]}
    if len(whole.text_encoders) > 1:
        texts |= {"text_encoder_2": whole.text_encoders[1], "tokenizer_2": whole.tokenizers[1]}
    else:
        texts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipeline = kind(vae=whole.vae, unet=whole.backbone, scheduler=EulerDiscreteScheduler.from_config(config),
                    **texts, **parts)  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    found = pipeline(
        ASKED.prompt, height=128, width=128, num_inference_steps=ASKED.steps, guidance_scale=ASKED.cfg_scale,
        negative_prompt=ASKED.negative_prompt, generator=torch.Generator().manual_seed(ASKED.seed),
        output_type="np", **image, **asked,
    )  # fmt: skip
    return (found.images[0] * 255).round().astype(int)


def as_diffusers(net: ControlNetModel) -> Tensors:
    return dict(net.state_dict())


def as_original(net: ControlNetModel) -> Tensors:
    """As the first ControlNets were published: the original code's names, below `control_model.`."""
    state = net.state_dict()
    half = {name: one for name, one in state.items() if not name.startswith("controlnet_")}
    found = layout.unet(SimpleNamespace(config=net.config, up_blocks=[], state_dict=lambda: half))
    for index in range(len(net.controlnet_down_blocks)):
        for end in ("weight", "bias"):
            found[f"zero_convs.{index}.0.{end}"] = state[f"controlnet_down_blocks.{index}.{end}"]
    for end in ("weight", "bias"):
        found[f"middle_block_out.0.{end}"] = state[f"controlnet_mid_block.{end}"]
        hint = "controlnet_cond_embedding"
        found[f"input_hint_block.0.{end}"] = state[f"{hint}.conv_in.{end}"]
        found[f"input_hint_block.14.{end}"] = state[f"{hint}.conv_out.{end}"]
        for index in range(6):
            found[f"input_hint_block.{2 * index + 2}.{end}"] = state[f"{hint}.blocks.{index}.{end}"]
    return {f"control_model.{name}": one.contiguous() for name, one in found.items()}


@pytest.mark.parametrize(
    ("architecture", "written"),
    [
        (Architecture.SD1, as_diffusers),
        (Architecture.SD1, as_original),
        (Architecture.SD2, as_original),
        (Architecture.SDXL, as_diffusers),
    ],
)
def test_a_controlnet(
    families: dict[Architecture, Tiny], tmp_path: Path, architecture: Architecture, written: Any
) -> None:
    """Of each family and layout diffusers' pipeline draws the same picture of the same weights and map."""
    small = families[architecture]
    net = controlnet(small.modules.backbone)
    stored(tmp_path, "net", written(net))
    kind = StableDiffusionControlNetPipeline
    if architecture is Architecture.SDXL:
        kind = StableDiffusionXLControlNetPipeline
    theirs = judged(small, kind, {"image": RING}, {"controlnet_conditioning_scale": 0.8}, controlnet=net)
    _is_same_and_counts(small, theirs, tmp_path)


def as_control_lora(net: ControlNetModel) -> Tensors:
    """As Stability AI publishes them: of each weight that the UNet has as well, what the ControlNet differs
    by as two small ones. Changes `net` to what comes of that."""
    found: Tensors = {"lora_controlnet": torch.zeros(1)}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(8)
        for name, one in as_original(net).items():
            name = name.removeprefix("control_model.")
            if one.dim() < 2 or not name.startswith(("time_", "label_", "input_blocks", "middle_block.")):
                found[name] = one
                continue
            stem, out = name.removesuffix(".weight"), one.shape[0]
            up, down = torch.randn(out, 4) / 20, torch.randn(4, *one.shape[1:]) / 4
            one += (up @ down.flatten(1)).reshape(one.shape)
            found |= {f"{stem}.up": up[..., None, None] if one.dim() == 4 else up, f"{stem}.down": down}
    return found


@pytest.mark.parametrize(
    "architecture", [pytest.param(Architecture.SD1, marks=pytest.mark.slow), Architecture.SDXL]
)
def test_a_control_lora(
    families: dict[Architecture, Tiny], tmp_path: Path, architecture: Architecture
) -> None:
    """What it makes of the checkpoint's own UNet is the whole ControlNet; another checkpoint has another."""
    small = families[architecture]
    net = controlnet(small.modules.backbone)
    before = {name: one.clone() for name, one in net.state_dict().items()}
    file = stored(tmp_path, "net", as_control_lora(net))
    changed = [name for name, one in net.state_dict().items() if not torch.equal(one, before[name])]
    assert {"conv_in.weight", "time_embedding.linear_1.weight"} <= set(changed)
    assert ("add_embedding.linear_2.weight" in changed) == (architecture is Architecture.SDXL)
    kind = StableDiffusionControlNetPipeline
    if architecture is Architecture.SDXL:
        kind = StableDiffusionXLControlNetPipeline
    theirs = judged(small, kind, {"image": RING}, {"controlnet_conditioning_scale": 0.8}, controlnet=net)
    _is_same_and_counts(small, theirs, tmp_path)

    one, other = in_memory(small), in_memory(tiny(architecture, tmp_path / "other"))
    other.file = replace(other.file, name="other.safetensors", path=Path("other.safetensors"))
    for part in other.backbone.parameters():
        part.data *= 1.1
    cache = ControlCache(DeviceMemory(CPU))
    first = cache.get(file, one)
    assert cache.get(file, one) is first
    second = cache.get(file, other)
    assert second is not first
    assert cache.get(file, other) is second
    name = "down_blocks.1.resnets.0.conv1.weight"
    gained = second.state_dict()[name] - first.state_dict()[name]
    assert torch.allclose(gained, one.backbone.state_dict()[name] * 0.1, atol=1e-5)


def test_a_control_lora_of_what_draws_within_masks(
    families: dict[Architecture, Tiny], tmp_path: Path
) -> None:
    """Its UNet sees more channels, and a control-LoRA is of those of the latents."""
    net = controlnet(families[Architecture.SD1].modules.backbone)
    file = stored(tmp_path, "net", as_control_lora(net))
    masked = in_memory(tiny(Architecture.SD1_INPAINT, tmp_path / "masked"))
    assert masked.backbone.conv_in.weight.shape[1] == 9
    assert load_control(file, masked, CPU).conv_in.weight.shape[1] == 4


def _is_same_and_counts(small: Tiny, theirs: np.ndarray, root: Path, **said: Any) -> None:
    unit = replace(UNIT, **said)
    ours = np.asarray(drawn(in_memory(small), replace(ASKED, controls=(unit,)), root)).astype(int)
    assert int(np.abs(ours - theirs).max()) <= 4
    assert int(np.abs(ours - _plain(small, root)).max()) > 8


def _plain(small: Tiny, root: Path) -> np.ndarray:
    """Its picture without a control, drawn once."""
    if id(small) not in PLAIN:
        PLAIN[id(small)] = small, np.asarray(drawn(in_memory(small), ASKED, root)).astype(int)
    return PLAIN[id(small)][1]


def test_a_small_controlnet_of_sdxl(families: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """The small ones were trained without the UNet's transformers; the file's names tell."""
    small = families[Architecture.SDXL]
    whole = controlnet(small.modules.backbone)
    config = dict(whole.config) | {
        "down_block_types": ["DownBlock2D"] * 3, "mid_block_type": "UNetMidBlock2D",
        "transformer_layers_per_block": [0, 0, 0],
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(4)
        net = spoken(ControlNetModel.from_config(config))
    stored(tmp_path, "net", as_diffusers(net))
    theirs = judged(
        small, StableDiffusionXLControlNetPipeline, {"image": RING}, {"controlnet_conditioning_scale": 0.8},
        controlnet=net,
    )  # fmt: skip
    _is_same_and_counts(small, theirs, tmp_path)


@pytest.mark.parametrize(("said", "number"), [({"control_type": "Depth"}, 1), ({"module": "invert"}, 3)])
def test_a_union_controlnet(
    families: dict[Architecture, Tiny], tmp_path: Path, said: dict[str, Any], number: int
) -> None:
    """One file for many kinds of maps: which it is says the unit, or else its preprocessor."""
    small = families[Architecture.SDXL]
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = dict(controlnet(small.modules.backbone).config)
        net = spoken(
            ControlNetUnionModel.from_config(
                {**config, "num_trans_channel": 32, "num_proj_channel": 32, "num_trans_head": 8}
            )
        )
    stored(tmp_path, "net", as_diffusers(net))
    shown = RING if "module" not in said else Image.eval(RING, lambda value: 255 - value)
    theirs = judged(
        small, StableDiffusionXLControlNetUnionPipeline, {"control_image": [shown]},
        {"control_mode": [number], "controlnet_conditioning_scale": 0.8}, controlnet=net,
    )  # fmt: skip
    _is_same_and_counts(small, theirs, tmp_path, **said)


def as_original_adapter(net: T2IAdapter) -> Tensors:
    """As T2I-Adapters were first published: residual blocks numbered through."""
    found = {}
    for name, one in net.state_dict().items():
        plain = re.sub(r"body\.(\d+)\.resnets\.(\d+)", lambda m: f"body.{int(m[1]) * 2 + int(m[2])}", name)
        plain = re.sub(r"body\.(\d+)\.in_conv", lambda m: f"body.{int(m[1]) * 2}.in_conv", plain)
        found[plain.removeprefix("adapter.")] = one
    return found


@pytest.mark.parametrize(
    ("architecture", "written", "colours"),
    [
        (Architecture.SD1, as_diffusers, 3),
        (Architecture.SD1, as_original_adapter, 1),
        (Architecture.SDXL, as_diffusers, 3),
    ],
)
def test_a_t2i_adapter(
    families: dict[Architecture, Tiny],
    tmp_path: Path,
    architecture: Architecture,
    written: Any,
    colours: int,
) -> None:
    """What it makes of the map is added within the UNet's way down, in every step."""
    small = families[architecture]
    channels = list(small.modules.backbone.config.block_out_channels)
    xl = architecture is Architecture.SDXL
    with torch.random.fork_rng():
        torch.manual_seed(6)
        net = T2IAdapter(
            in_channels=colours,
            channels=[*channels, channels[-1]] if xl else channels, downscale_factor=16 if xl else 8,
            adapter_type="full_adapter_xl" if xl else "full_adapter",
        ).eval()  # fmt: skip
    for one in net.parameters():
        one.data *= 3
    stored(tmp_path, "net", written(net))
    kind = StableDiffusionXLAdapterPipeline if xl else StableDiffusionAdapterPipeline
    shown = RING if colours == 3 else RING.convert("L")
    theirs = judged(small, kind, {"image": shown}, {"adapter_conditioning_scale": 0.8}, adapter=net)
    _is_same_and_counts(small, theirs, tmp_path)


@pytest.mark.parametrize("kind", ["ControlNet", "Union", "T2I-Adapter"])
def test_half_precision(families: dict[Architecture, Tiny], tmp_path: Path, kind: str) -> None:
    """As on a GPU: everything that meets the UNet is of its own kind of numbers, and the picture is alike."""
    small = tiny(Architecture.SDXL, tmp_path / "half")
    net: Any = controlnet(small.modules.backbone)
    if kind == "Union":
        narrow = {"num_trans_channel": 32, "num_proj_channel": 32, "num_trans_head": 8}
        net = spoken(ControlNetUnionModel.from_config({**net.config, **narrow}))
    elif kind == "T2I-Adapter":
        net = T2IAdapter(channels=[32, 64, 64, 64], downscale_factor=16, adapter_type="full_adapter_xl")
    stored(tmp_path, "net", as_diffusers(net))
    request = replace(ASKED, controls=(UNIT,))
    whole = in_memory(small)
    exact = np.asarray(drawn(whole, request, tmp_path)).astype(int)
    for module in (whole.backbone, whole.vae, *whole.text_encoders):
        module.to(torch.bfloat16)
    whole.dtype = torch.bfloat16
    rough = np.asarray(drawn(whole, request, tmp_path)).astype(int)
    assert float(np.abs(exact - rough).mean()) < 12


def _named(name: str, *shape: int) -> Tensors:
    return {name: torch.zeros(shape)}


BAD: dict[str, tuple[Tensors, type[FileError], str]] = {
    "control-LoRA": (
        _named("lora_controlnet", 1) | _named("time_embed.0.up", 16, 3),
        Incomplete,
        r"time_embed\.0\.down",
    ),
    "control-LoRA without its hints": (_named("lora_controlnet", 1), Incomplete, "input_hint_block"),
    "LLLite": (_named("lllite_unet_a.down.0.weight", 1, 1), UnknownArchitecture, "LLLite"),
    "checkpoint": (_named("model.diffusion_model.input_blocks.0.0.weight", 8, 4, 3, 3), WrongKind, "not a"),
    "LoRA": (_named("lora_unet_x.lora_down.weight", 4, 4), WrongKind, "models/Lora"),
    "other": (_named("x", 4, 4, 4), WrongKind, "not a ControlNet"),
}


@pytest.mark.parametrize("how", BAD)
def test_what_is_no_controlnet(families: dict[Architecture, Tiny], tmp_path: Path, how: str) -> None:
    """What the file is and what to do, before anything is read of it."""
    tensors, error, words = BAD[how]
    with pytest.raises(error, match=words):
        load_control(stored(tmp_path, "net", tensors), in_memory(families[Architecture.SD1]), CPU)


def test_of_another_family(families: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """SD 1.x and SDXL take no ControlNets of each other, and say for what one was made."""
    first, second = families[Architecture.SD1], families[Architecture.SDXL]
    for own, other in ((first, second), (second, first)):
        file = stored(tmp_path, "net", as_diffusers(controlnet(own.modules.backbone)))
        with pytest.raises(OtherArchitecture, match="was made for"):
            load_control(file, in_memory(other), CPU)


def test_half_a_file(families: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """A file with tensors missing, or of no known shape, is named with the first that is wrong."""
    small = families[Architecture.SD1]
    tensors = as_diffusers(controlnet(small.modules.backbone))
    del tensors["controlnet_mid_block.weight"]
    with pytest.raises(Incomplete, match="controlnet_mid_block"):
        load_control(stored(tmp_path, "net", tensors), in_memory(small), CPU)
    tensors = as_original(controlnet(small.modules.backbone))
    del tensors["control_model.zero_convs.3.0.weight"]
    with pytest.raises(Incomplete, match="missing"):
        load_control(stored(tmp_path, "net", tensors), in_memory(small), CPU)


def test_memory_has_a_bound(families: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """Those used longest ago go, those in use stay in any case."""
    small = families[Architecture.SD1]
    whole = in_memory(small)
    for name in ("net", "two", "three"):
        stored(tmp_path, name, as_diffusers(controlnet(small.modules.backbone)))
    controls = [
        prepared_controls(replace(ASKED, controls=(replace(UNIT, model=name),)), Store(tmp_path), ())
        for name in ("net", "two", "three")
    ]
    in_use: set[ModelFile] = set()
    cache = ControlCache(DeviceMemory(CPU), lambda: in_use, budget=0)
    models = ControlModels(whole, cache)
    models.need(controls[0])
    one = cache.nbytes
    assert one > 0
    in_use.add(controls[0][0].file)
    models.need(controls[1])
    assert cache.nbytes == 2 * one
    in_use.clear()
    models.need(controls[2])
    assert cache.nbytes == one
