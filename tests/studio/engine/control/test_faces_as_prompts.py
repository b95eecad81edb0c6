"""FaceID and InstantID in published layouts: diffusers' own picture of the same numbers of a face; what is
read of which picture, and what is said where none can be."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLPipeline,
)
from PIL import Image
from safetensors.torch import load_file, save_file

from easel.models import Architecture, Kind, Store, convert_onnx, convert_pickle
from easel.studio.engine import ControlUnit, Engine, ImageToImage, InvalidRequest, TextToImage
from easel.studio.engine.checkpoint import Checkpoint
from easel.studio.engine.control.clip_view import clip_view
from easel.studio.engine.control.face_map import drawn_points
from easel.studio.engine.errors import NoFace, OtherArchitecture
from easel.studio.engine.face_vectors import face_files, face_vectors
from easel.studio.engine.image_prompt_layout import ImagePromptLayout
from easel.studio.engine.loading import load_checkpoint
from easel.studio.png import encode
from tests.studio.engine.conftest import STARTER
from tests.studio.engine.control import image_prompt_files as files
from tests.studio.engine.control import onnx_files
from tests.studio.engine.control.driving import CPU, controlnet, drawn, in_memory, stored
from tests.studio.engine.control.test_face_networks import NOBODY, ONE, TWO, picture
from tests.studio.engine.tiny import Tiny, model_file, tiny

ASKED = TextToImage(prompt="a red circle", negative_prompt="green", width=128, height=128, steps=4, seed=7,
                    sampler="Euler", cfg_scale=4)  # fmt: skip
OTHER = picture((150, 150), (80, 60, 30))
UNIT = ControlUnit(model="ip-faceid", module="ip-adapter_face_id", image=encode(ONE), weight=0.7)
POINTS = Image.fromarray(
    drawn_points(np.array([[40, 50], [80, 48], [60, 70], [45, 90], [78, 88]], float), 128, 128)
)
PIPELINES = {Architecture.SD1: StableDiffusionPipeline, Architecture.SDXL: StableDiffusionXLPipeline}
WAIT = 120


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with InsightFace's two packs and an image encoder."""
    root = tmp_path_factory.mktemp("networks")
    store = Store(root)
    for name, seed in (("det_10g", 0), ("w600k_r50", 1), ("scrfd_10g_bnkps", 0), ("glintr100", 2)):
        made = root / f"{name}.onnx"
        onnx_files.identity(made, seed) if seed else onnx_files.faces(made)
        convert_onnx(made, store)
    folder = root / Kind.IMAGE_ENCODER.folder
    save_file(files.encoder().state_dict(), folder / "CLIP-ViT-H-14.safetensors")
    return folder


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Tiny]:
    folder = tmp_path_factory.mktemp("families")
    return {one: tiny(one, folder) for one in PIPELINES}


def there(root: Path, networks: Path, tables: dict[str, files.Tensors], name: str = "ip-faceid") -> None:
    """The adapter and what it reads faces by in a store."""
    files.written(root / "ControlNet", name, tables)
    if not (root / networks.name).exists():
        (root / networks.name).symlink_to(networks)


def read(root: Path, image: Image.Image, name: str = "ip-faceid") -> torch.Tensor:
    """(1, 512): the numbers of its face, as the adapter gets them."""
    store = Store(root)
    file = store.find(Kind.CONTROLNET, name)
    layout = ImagePromptLayout.of(file)
    return torch.from_numpy(face_vectors(layout, face_files(layout, file, store), [image], -1).numbers)


def judge(whole: Checkpoint, kind: Any, **parts: Any) -> Any:
    """diffusers' pipeline of a checkpoint, with a UNet of its own to change."""
    config = {**whole.family.scheduler_config, "timestep_spacing": "linspace"}
    parts |= {"text_encoder": whole.text_encoders[0], "tokenizer": whole.tokenizers[0]}
    if len(whole.text_encoders) > 1:
        parts |= {"text_encoder_2": whole.text_encoders[1], "tokenizer_2": whole.tokenizers[1]}
    else:
        parts |= {"safety_checker": None, "requires_safety_checker": False}
    if "controlnet" not in parts:
        parts["image_encoder"] = None
    pipeline = kind(
        vae=whole.vae, unet=copy.deepcopy(whole.backbone),
        scheduler=EulerDiscreteScheduler.from_config(config), feature_extractor=None, **parts,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def pixels_of(pipeline: Any, **asked: Any) -> np.ndarray:
    found = pipeline(
        ASKED.prompt, height=128, width=128, num_inference_steps=ASKED.steps, guidance_scale=ASKED.cfg_scale,
        negative_prompt=ASKED.negative_prompt, generator=torch.Generator().manual_seed(ASKED.seed),
        output_type="np", **asked,
    )  # fmt: skip
    return (found.images[0] * 255).round().astype(int)


def judged(
    whole: Checkpoint,
    kind: Any,
    tables: dict[str, files.Tensors],
    face: torch.Tensor,
    *,
    second: bool = False,
) -> np.ndarray:
    """With a LoRA in the tables at its whole weight."""
    pipeline = judge(whole, kind)
    pipeline.load_ip_adapter(tables, subfolder="", weight_name="x", image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(UNIT.weight)
    (layer,) = pipeline.unet.encoder_hid_proj.image_projection_layers
    if hasattr(layer, "clip_embeds"):
        view = torch.from_numpy(clip_view(ONE, 64))[None]
        seen = files.encoder()(torch.cat([torch.zeros_like(view), view]), output_hidden_states=True)
        layer.clip_embeds, layer.shortcut = seen.hidden_states[-2][:, None], second
    embeds = torch.cat([torch.zeros_like(face), face])[:, None]
    with torch.no_grad():
        return pixels_of(pipeline, ip_adapter_image_embeds=[embeds])


def ours(small: Tiny, root: Path, *units: ControlUnit, **fields: Any) -> np.ndarray:
    return np.asarray(drawn(in_memory(small), replace(ASKED, controls=units, **fields), root)).astype(int)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one - other).max())


@pytest.mark.parametrize(
    ("architecture", "kind", "name"),
    [
        pytest.param(Architecture.SD1, "face", "ip-faceid", marks=pytest.mark.slow),
        (Architecture.SD1, "face_plus", "ip-faceid-plusv2"),
        pytest.param(Architecture.SD1, "portrait", "ip-faceid-portrait", marks=pytest.mark.slow),
        pytest.param(Architecture.SD1, "face_plus", "ip-faceid-plus", marks=pytest.mark.slow),
        pytest.param(Architecture.SDXL, "face", "ip-faceid", marks=pytest.mark.slow),
        pytest.param(Architecture.SDXL, "face_plus", "ip-faceid-plusv2", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_the_picture_of_diffusers(
    families: dict[Architecture, Tiny],
    networks: Path,
    tmp_path: Path,
    architecture: Architecture,
    kind: str,
    name: str,
) -> None:
    """Of each family and kind: diffusers' pipeline draws the same picture of the same files and face; the
    LoRA beside the adapter counts for nothing where no prompt names it."""
    small = families[architecture]
    tables = files.adapter(small.modules.backbone, kind)
    there(tmp_path, networks, tables, name)
    heads = {key: one for key, one in tables["ip_adapter"].items() if "_lora." not in key}
    face, second = read(tmp_path, ONE, name), "v2" in name
    theirs = judged(
        in_memory(small), PIPELINES[architecture], {**tables, "ip_adapter": heads}, face, second=second
    )
    assert apart(ours(small, tmp_path, replace(UNIT, model=name)), theirs) <= 4
    assert apart(ours(small, tmp_path, replace(UNIT, model=name, image=encode(OTHER))), theirs) > 4
    assert apart(ours(small, tmp_path), theirs) > 12


@pytest.fixture(scope="module")
def starter() -> Checkpoint:
    """For the judge."""
    return load_checkpoint(model_file(STARTER), device=CPU, dtype=torch.float32)


@pytest.fixture(scope="module")
def tables(starter: Checkpoint) -> dict[str, files.Tensors]:
    return files.adapter(starter.backbone, "face", 0.2)


@pytest.fixture(scope="module")
def engine(
    networks: Path, tables: dict[str, files.Tensors], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """The starter with FaceID of its shape."""
    root = tmp_path_factory.mktemp("faces")
    (root / "Stable-diffusion").mkdir()
    shutil.copy(STARTER, root / "Stable-diffusion")
    there(root, networks, tables)
    running = Engine(Store(root), default_checkpoint=STARTER.name)
    running.start()
    yield running
    running.stop()


def draw(engine: Engine, *units: ControlUnit, **fields: Any) -> np.ndarray:
    (found,) = engine.submit("ada", replace(ASKED, controls=units, **fields)).result(WAIT)
    return np.asarray(found.image).astype(int)


def notes(engine: Engine, *units: ControlUnit, **fields: Any) -> str:
    return " ".join(engine.submit("ada", replace(ASKED, controls=units, **fields)).result(WAIT)[0].notes)


def test_the_lora_beside_an_adapter(
    engine: Engine, starter: Checkpoint, tables: dict[str, files.Tensors]
) -> None:
    """A prompt that names it, by the adapter's name or as its own file is called, draws diffusers' picture of
    the whole file; without, it is told how."""
    tags = "<lora:ip-faceid:1>", "<lora:ip-faceid_lora:1>"
    # before the judge: while diffusers loads, whatever else is made in this process has no weights
    found = [draw(engine, UNIT, prompt=f"{ASKED.prompt}{tag}") for tag in tags]
    without = draw(engine, UNIT)
    theirs = judged(starter, StableDiffusionPipeline, tables, read(engine.store.root, ONE))
    assert all(apart(one, theirs) <= 4 for one in found)
    assert apart(without, theirs) > 4
    assert "<lora:ip-faceid:0.6>" in notes(engine, UNIT)
    assert notes(engine, UNIT, prompt=f"{ASKED.prompt} <lora:ip-faceid:0.5>") == ""


def test_a_lora_of_another_family(engine: Engine, families: dict[Architecture, Tiny]) -> None:
    """Within an adapter as in a file of its own: refused for what it was made for."""
    tables = files.adapter(families[Architecture.SD1].modules.backbone, "face")
    files.written(engine.store.root / "ControlNet", "other-faceid", tables)
    engine.store.refresh()
    job = engine.submit("ada", replace(ASKED, prompt="a red circle <lora:other-faceid:1>"))
    with pytest.raises(OtherArchitecture, match="this LoRA was made for"):
        job.result(WAIT)


def test_in_company_as_alone(engine: Engine) -> None:
    """Different people's faces, with a LoRA and without, are drawn at the same time as each is alone."""
    asked = [
        ((UNIT,), ASKED.prompt), ((replace(UNIT, image=encode(OTHER), weight=0.4),), ASKED.prompt),
        ((UNIT,), ASKED.prompt + "<lora:ip-faceid:0.8>"), ((), ASKED.prompt),
    ]  # fmt: skip
    alone = [draw(engine, *units, prompt=prompt) for units, prompt in asked]
    jobs = [
        engine.submit(f"person {number}", replace(ASKED, controls=units, prompt=prompt))
        for number, (units, prompt) in enumerate(asked)
    ]
    for job, before in zip(jobs, alone, strict=True):
        assert apart(np.asarray(job.result(WAIT)[0].image).astype(int), before) <= 2
    assert all(apart(one, alone[-1]) > 2 for one in alone[:-1])


def test_which_face_of_which_picture(engine: Engine) -> None:
    """Of several in a picture the largest, which is told; of several pictures all in equal parts; without a
    picture that which is drawn over."""
    both = replace(UNIT, more_images=(encode(OTHER),))
    again = replace(UNIT, image=encode(OTHER), more_images=(encode(ONE),))
    assert apart(draw(engine, both), draw(engine, again)) <= 1
    assert apart(draw(engine, both), draw(engine, UNIT)) > 1
    assert "more than one face" in notes(engine, replace(UNIT, image=encode(TWO)))
    assert "more than one face" not in notes(engine, UNIT)
    square = encode(picture((128, 128), (60, 60, 30)))
    over = ImageToImage(images=(square,), denoising_strength=0.9)
    own = draw(engine, replace(UNIT, image=b""), source=over)
    assert apart(own, draw(engine, replace(UNIT, image=square), source=over)) <= 1


def test_no_face_is_said(engine: Engine) -> None:
    """In words that say which picture, and what would do."""
    with pytest.raises(
        NoFace, match=r"no face is found; allowed: a picture that shows a face from the front"
    ):
        engine.submit("ada", replace(ASKED, controls=(replace(UNIT, image=encode(NOBODY)),)))
    with pytest.raises(NoFace, match="2 pictures, and in number 2 no face"):
        engine.submit("ada", replace(ASKED, controls=(replace(UNIT, more_images=(encode(NOBODY),)),)))


def test_what_is_missing_is_named(families: dict[Architecture, Tiny], networks: Path, tmp_path: Path) -> None:
    """The networks that read faces, both by name; the image encoder beside them; another family's adapter."""
    small = families[Architecture.SD1]
    tables = files.adapter(small.modules.backbone, "face")
    files.written(tmp_path / "ControlNet", "ip-faceid", tables)
    with pytest.raises(InvalidRequest, match=r"models/ControlNetPreprocessor.*det_10g.*buffalo_l.*w600k_r50"):
        ours(small, tmp_path, UNIT)
    folder = tmp_path / networks.name
    folder.mkdir()
    for one in ("det_10g", "w600k_r50"):
        shutil.copy(networks / f"{one}.safetensors", folder)
    files.written(tmp_path / "ControlNet", "plus", files.adapter(small.modules.backbone, "face_plus"))
    with pytest.raises(
        InvalidRequest, match=r"image encoder is in models/ControlNetPreprocessor.*32 numbers"
    ):
        ours(small, tmp_path, replace(UNIT, model="plus"))
    there(tmp_path, networks, files.adapter(families[Architecture.SDXL].modules.backbone, "face"))
    with pytest.raises(OtherArchitecture, match="made for"):
        ours(small, tmp_path, UNIT)


@pytest.mark.slow
def test_the_bin_file_comes_in_as_an_adapter(families: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """For all that it holds a LoRA too, it is no LoRA; converted it is the .safetensors."""
    small = families[Architecture.SD1]
    tables = files.adapter(small.modules.backbone, "face")
    torch.save(tables, tmp_path / "ip-adapter-faceid_sd15.bin")
    done = convert_pickle(tmp_path / "ip-adapter-faceid_sd15.bin", Store(tmp_path))
    assert done.file.path.parent.name == "ControlNet"
    files.written(tmp_path / "ControlNet", "ip-faceid", tables)
    published = load_file(tmp_path / "ControlNet" / "ip-faceid.safetensors")
    found = load_file(done.file.path)
    assert found.keys() == published.keys()
    assert all(torch.equal(one, published[name]) for name, one in found.items())


def test_numbers_as_each_adapter_wants_them(
    families: dict[Architecture, Tiny], networks: Path, tmp_path: Path
) -> None:
    """FaceID's are of length 1, those of its `_unnorm` and of InstantID as they come, which reads them by
    antelopev2 at the unit's resolution."""
    unet = families[Architecture.SD1].modules.backbone
    for name, kind in (("a", "face"), ("portrait_sdxl_unnorm", "portrait"), ("instant", "instant")):
        there(tmp_path, networks, files.adapter(unet, kind), name)
    normal, raw, instant = (read(tmp_path, ONE, name) for name in ("a", "portrait_sdxl_unnorm", "instant"))
    assert float(normal.norm()) == pytest.approx(1, abs=1e-5)
    assert float((raw / raw.norm() - normal).abs().max()) < 1e-5
    assert float(raw.norm()) > 2
    assert float((instant / instant.norm() - normal).abs().max()) > 0.01


class InstantId:
    """Its two files in a store, and the judge."""

    def __init__(self, root: Path, networks: Path, small: Tiny) -> None:
        self.root, self.small = root, small
        unet = small.modules.backbone
        self.tables = files.adapter(unet, "instant")
        there(root, networks, self.tables, "ip-adapter_instant_id_sdxl")
        self.net = controlnet(unet, seed=4)
        stored(root, "control_instant_id_sdxl", dict(self.net.state_dict()))
        face = {"model": "ip-adapter_instant_id_sdxl", "module": "instant_id_face_embedding"}
        stored(root, "plain", dict(self.net.state_dict()))
        self.face = replace(UNIT, **face)
        points = {
            "model": "control_instant_id_sdxl",
            "image": encode(POINTS),
            "module": "none",
            "weight": 0.8,
        }
        self.points = replace(UNIT, **points)

    def draw(self, *units: ControlUnit, **fields: Any) -> np.ndarray:
        return ours(self.small, self.root, *units, **fields)


@pytest.fixture(scope="module")
def instant_id(
    families: dict[Architecture, Tiny], networks: Path, tmp_path_factory: pytest.TempPathFactory
) -> InstantId:
    return InstantId(tmp_path_factory.mktemp("instant"), networks, families[Architecture.SDXL])


def test_instant_id_is_the_published_pipelines(instant_id: InstantId) -> None:
    """The adapter reads the face in 16 tokens; its ControlNet is shown the points, and told these tokens in
    the place of the words: diffusers' pipeline does the same, whose ControlNet is given them by hand."""
    whole = in_memory(instant_id.small)
    net: ControlNetModel = copy.deepcopy(instant_id.net)
    pipeline = judge(whole, StableDiffusionXLControlNetPipeline, controlnet=net)
    pipeline.load_ip_adapter(instant_id.tables, subfolder="", weight_name="x", image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(UNIT.weight)
    face = read(instant_id.root, ONE, "ip-adapter_instant_id_sdxl")
    embeds = torch.cat([torch.zeros_like(face), face])[:, None]
    (layer,) = pipeline.unet.encoder_hid_proj.image_projection_layers
    with torch.no_grad():
        tokens = layer(embeds)
        assert tokens.shape[:2] == (2, 16)
        forward = net.forward
        net.forward = lambda *args, **said: forward(*args, **{**said, "encoder_hidden_states": tokens})
        theirs = pixels_of(
            pipeline, image=POINTS, ip_adapter_image_embeds=[embeds[:, :, None]],
            controlnet_conditioning_scale=0.8,
        )  # fmt: skip
    assert apart(instant_id.draw(instant_id.face, instant_id.points), theirs) <= 4
    assert apart(instant_id.draw(instant_id.points, instant_id.face), theirs) <= 4
    assert apart(instant_id.draw(instant_id.face), theirs) > 4


def test_instant_ids_control_needs_its_adapter(instant_id: InstantId) -> None:
    """By its name or by its preprocessor, and in words; another ControlNet is told the words as ever."""
    drawn_from = replace(instant_id.points, module="instant_id_face_keypoints", image=encode(ONE))
    for unit in (instant_id.points, replace(drawn_from, model="plain")):
        with pytest.raises(InvalidRequest, match="ip-adapter_instant_id_sdxl"):
            instant_id.draw(unit)
    plain = replace(instant_id.points, model="plain")
    told, words = (instant_id.draw(instant_id.face, one, steps=1) for one in (instant_id.points, plain))
    assert apart(told, words) > 2


@pytest.mark.slow
def test_half_precision(networks: Path, tmp_path: Path) -> None:
    """As on a GPU: what is read of a face is of the UNet's own kind of numbers, and the picture is alike."""
    small = tiny(Architecture.SDXL, tmp_path / "half")
    both = InstantId(tmp_path, networks, small)
    there(tmp_path, networks, files.adapter(small.modules.backbone, "face_plus"), "ip-faceid-plusv2")
    whole, plus = in_memory(small), replace(UNIT, model="ip-faceid-plusv2")
    request = replace(ASKED, controls=(both.face, both.points, plus))
    exact = np.asarray(drawn(whole, request, tmp_path)).astype(int)
    for module in (whole.backbone, whole.vae, *whole.text_encoders):
        module.to(torch.bfloat16)
    whole.dtype = torch.bfloat16
    assert float(np.abs(exact - np.asarray(drawn(whole, request, tmp_path))).mean()) < 12
