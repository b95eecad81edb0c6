"""IP-Adapters in published layouts: diffusers' own picture, alone and in company."""

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
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from transformers import CLIPImageProcessor

from easel.models import Architecture, Store, UnknownArchitecture, convert_pickle
from easel.studio.engine import (
    ControlledPasses,
    ControlMode,
    ControlUnit,
    Engine,
    HiresFix,
    ImageToImage,
    InvalidRequest,
    TextToImage,
)
from easel.studio.engine.checkpoints.skeleton import skeleton
from easel.studio.engine.control.clip_view import clip_view
from easel.studio.engine.control_models.control_cache import ControlCache
from easel.studio.engine.control_models.image_prompt_models import ImagePromptModels
from easel.studio.engine.control_models.image_prompts import prepared_image_prompts
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.memory.device_memory import DeviceMemory
from easel.studio.families import family
from easel.studio.png import encode
from tests.studio.engine.conftest import STARTER
from tests.studio.engine.control import image_prompt_files as files
from tests.studio.engine.control.driving import CPU, drawn, in_memory
from tests.studio.engine.tiny import Tiny, tiny

ASKED = TextToImage(prompt="a red circle", negative_prompt="green", width=128, height=128, steps=4, seed=7,
                    sampler="Euler", cfg_scale=4)  # fmt: skip
WAIT = 120


def picture(colour: str, size: tuple[int, int] = (128, 96)) -> Image.Image:
    image = Image.new("RGB", size, "navy")
    ImageDraw.Draw(image).ellipse((20, 10, 90, 80), fill=colour)
    return image


RED, GREEN = picture("red"), picture("green", (64, 200))
UNIT = ControlUnit(model="ip", module="ip-adapter_clip_sd15", image=encode(RED), weight=0.7)
KINDS = {Architecture.SD1: StableDiffusionPipeline, Architecture.SDXL: StableDiffusionXLPipeline}


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Tiny]:
    folder = tmp_path_factory.mktemp("families")
    return {one: tiny(one, folder) for one in KINDS}


def there(root: Path, tables: dict[str, files.Tensors], name: str = "ip") -> None:
    """The adapter and its encoder in a store."""
    files.written(root / "ControlNet", name, tables)
    folder = root / "ControlNetPreprocessor"
    folder.mkdir(exist_ok=True)
    save_file(files.encoder().state_dict(), folder / "CLIP-ViT-H-14.safetensors")


def judged(small: Tiny, tables: dict[str, files.Tensors], image: Image.Image, scale: float) -> np.ndarray:
    """The picture of diffusers' pipeline, which changes its UNet: a copy."""
    whole = in_memory(small)
    config = {**small.family.scheduler_config, "timestep_spacing": "linspace"}
    parts: dict[str, Any] = {"text_encoder": whole.text_encoders[0], "tokenizer": whole.tokenizers[0]}
    architecture = Architecture.SDXL if len(whole.text_encoders) > 1 else Architecture.SD1
    if architecture is Architecture.SDXL:
        parts |= {"text_encoder_2": whole.text_encoders[1], "tokenizer_2": whole.tokenizers[1]}
    else:
        parts |= {"safety_checker": None, "requires_safety_checker": False}
    size = {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}
    pipeline = KINDS[architecture](
        vae=whole.vae,
        unet=copy.deepcopy(whole.backbone),
        scheduler=EulerDiscreteScheduler.from_config(config),
        image_encoder=files.encoder(), feature_extractor=CLIPImageProcessor(**size), **parts,
    )  # fmt: skip
    pipeline.load_ip_adapter(tables, subfolder="", weight_name="x", image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(scale)
    pipeline.set_progress_bar_config(disable=True)
    found = pipeline(
        ASKED.prompt, height=128, width=128, num_inference_steps=ASKED.steps, guidance_scale=ASKED.cfg_scale,
        negative_prompt=ASKED.negative_prompt, generator=torch.Generator().manual_seed(ASKED.seed),
        output_type="np", ip_adapter_image=image,
    )  # fmt: skip
    return (found.images[0] * 255).round().astype(int)


def ours(small: Tiny, root: Path, *units: ControlUnit, **fields: Any) -> np.ndarray:
    return np.asarray(drawn(in_memory(small), replace(ASKED, controls=units, **fields), root)).astype(int)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one - other).max())


@pytest.mark.parametrize(
    ("architecture", "kind", "image"),
    [
        (Architecture.SD1, "plain", RED), (Architecture.SD1, "plus", GREEN), (Architecture.SD1, "full", RED),
        (Architecture.SDXL, "plain", GREEN), (Architecture.SDXL, "plus", RED),
    ],
)  # fmt: skip
def test_the_picture_of_diffusers(
    families: dict[Architecture, Tiny],
    tmp_path: Path,
    architecture: Architecture,
    kind: str,
    image: Image.Image,
) -> None:
    """Of each family and kind: diffusers' pipeline draws the same picture of the same files and picture."""
    small = families[architecture]
    tables = files.adapter(small.modules.backbone, kind)
    there(tmp_path, tables)
    theirs = judged(small, tables, image, 0.7)
    assert apart(ours(small, tmp_path, replace(UNIT, image=encode(image))), theirs) <= 4
    assert apart(ours(small, tmp_path), theirs) > 12


def test_what_clip_is_shown() -> None:
    """The processor of CLIP's own: the same numbers, but for the rounding of one of 255."""
    size = {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}
    for image in (RED, GREEN, picture("white", (61, 47))):
        theirs = CLIPImageProcessor(**size)(image, return_tensors="np").pixel_values[0]
        assert float(np.abs(clip_view(image, 64) - theirs).max()) < 0.02


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The starter with adapters of its shape."""
    root = tmp_path_factory.mktemp("prompted")
    (root / "Stable-diffusion").mkdir()
    shutil.copy(STARTER, root / "Stable-diffusion")
    unet = skeleton(family(Architecture.STARTER)).backbone
    for kind in ("plain", "plus"):
        there(root, files.adapter(unet, kind), kind)
    running = Engine(Store(root), default_checkpoint=STARTER.name)
    running.start()
    yield running
    running.stop()


def draw(engine: Engine, *units: ControlUnit, **fields: Any) -> np.ndarray:
    (found,) = engine.submit("ada", replace(ASKED, controls=units, **fields)).result(WAIT)
    return np.asarray(found.image).astype(int)


def test_in_company_as_alone(engine: Engine) -> None:
    """Pictures of different people, with the same adapter and different pictures, with another one and with
    none, are drawn at the same time as each is alone."""
    plus = replace(UNIT, model="plus")
    asked = [
        (replace(UNIT, model="plain"),),
        (replace(UNIT, model="plain", image=encode(GREEN), weight=0.4),),
        (plus,),
        (replace(plus, image=encode(GREEN)), replace(UNIT, model="plain", guidance_end=0.5)),
        (),
    ]
    alone = [draw(engine, *units) for units in asked]
    jobs = [
        engine.submit(f"person {number}", replace(ASKED, controls=units))
        for number, units in enumerate(asked)
    ]
    for job, before in zip(jobs, alone, strict=True):
        (together,) = job.result(WAIT)
        assert apart(np.asarray(together.image).astype(int), before) <= 2
    assert all(apart(one, alone[-1]) > 8 for one in alone[:-1])


def test_range_weights_and_region(engine: Engine) -> None:
    """Out of its steps, with weights of nothing and where its region is black it counts for nothing."""
    unit, plain = replace(UNIT, model="plain"), draw(engine)
    whole = draw(engine, unit)
    black, white = (encode(Image.new("L", (128, 128), value)) for value in (0, 255))
    for nothing in (
        replace(unit, weight=0), replace(unit, layer_weights=(0,) * 16), replace(unit, region=black),
    ):  # fmt: skip
        assert apart(draw(engine, nothing), plain) <= 1
    assert apart(draw(engine, replace(unit, layer_weights=(0.7,) * 16)), whole) <= 1
    assert apart(draw(engine, replace(unit, region=white)), whole) <= 1
    style = draw(engine, replace(unit, layer_weights=(0,) * 3 + (0.7,) * 13))
    half = draw(engine, replace(unit, region=encode(Image.linear_gradient("L"))))
    late = draw(engine, replace(unit, guidance_start=0.5))
    for one in (style, half, late):
        assert min(apart(one, whole), apart(one, plain)) > 2


def test_several_pictures_count_in_equal_parts(engine: Engine) -> None:
    """As the extension: the mean of what is read. One picture twice is that picture."""
    unit = replace(UNIT, model="plus")
    twice = replace(unit, more_images=(encode(RED),))
    both = replace(unit, more_images=(encode(GREEN),))
    assert apart(draw(engine, twice), draw(engine, unit)) <= 1
    assert (
        apart(
            draw(engine, both), draw(engine, replace(both, image=encode(GREEN), more_images=(encode(RED),)))
        )
        <= 1
    )
    assert apart(draw(engine, both), draw(engine, unit)) > 2


def test_a_picture_that_is_drawn_over_is_its_own_prompt(engine: Engine) -> None:
    """A unit without a picture reads that of img2img, of a batch each its own."""
    unit = replace(UNIT, model="plus", image=b"")
    sources = [picture(colour, (128, 128)) for colour in ("red", "white")]
    source = ImageToImage(images=tuple(encode(one) for one in sources), denoising_strength=0.9)
    request = replace(ASKED, batch_size=2, source=source, controls=(unit,))
    together = [np.asarray(one.image, int) for one in engine.submit("ada", request).result(WAIT)]
    for index, one in enumerate(sources):
        alone = draw(engine, replace(unit, image=encode(one)), seed=7 + index,
                     source=replace(source, images=(encode(one),)))  # fmt: skip
        assert apart(together[index], alone) <= 2


def test_each_pass_of_hires_fix(engine: Engine) -> None:
    """Both passes read the picture, or the one that the unit says."""
    unit, hires = replace(UNIT, model="plain"), HiresFix(scale=1.5, steps=3, denoising_strength=0.9)
    found = [draw(engine, hires=hires)]
    found += [draw(engine, replace(unit, passes=one), hires=hires) for one in ControlledPasses]
    assert all(apart(one, other) > 2 for number, one in enumerate(found) for other in found[:number])


def test_tiling_and_interrupt(engine: Engine) -> None:
    """Edges meet, and what is stopped half-way comes as it is."""
    unit = replace(UNIT, model="plain")
    assert apart(draw(engine, unit, tiling=True), draw(engine, unit)) > 2
    job = engine.submit("ada", replace(ASKED, steps=150, controls=(unit,)))
    for progress in job.watch(timeout=WAIT):
        if progress.step > 3:
            job.cancel(keep_partial=True)
            break
    assert job.result(WAIT)[0].partial


def test_encoders_leave_first(families: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """They have read what there is to read; adapters of those who draw stay in any case."""
    small = families[Architecture.SD1]
    there(tmp_path, files.adapter(small.modules.backbone, "plain"))
    request, store = replace(ASKED, controls=(UNIT,)).resolved(), Store(tmp_path)
    (one,) = prepared_image_prompts(request, store, ())
    models = ControlCache(DeviceMemory(CPU), budget=0)
    prompts = ImagePromptModels(in_memory(small), models)
    prompts.need((one,), 0)
    both = models.nbytes
    (of_pass,) = prompts.of_pass((one,), 0, (128, 128), second_pass=False)
    assert of_pass.of_call(3, 1).tokens.shape == (3, 4, small.modules.backbone.config.cross_attention_dim)
    assert 0 < models.nbytes < both


def test_what_counts_for_nothing_is_told(engine: Engine) -> None:
    """Control modes, which the extension's page does not show for an IP-Adapter."""
    unit = replace(UNIT, model="plain", control_mode=ControlMode.PROMPT)
    job = engine.submit("ada", replace(ASKED, controls=(unit,)))
    assert any("control mode" in words for words in job.result(WAIT)[0].notes)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"image": b""}, "controlnet.image"),
        ({"module": "canny"}, "controlnet.module"),
        ({"more_images": (b"x",) * 20}, "controlnet.image"),
    ],
)
def test_what_is_refused_at_once(engine: Engine, bad: dict[str, Any], words: str) -> None:
    """No picture, a preprocessor that makes maps, too many pictures."""
    with pytest.raises(InvalidRequest, match=words):
        engine.submit("ada", replace(ASKED, controls=(replace(UNIT, model="plain", **bad),)))


def test_what_is_not_there_is_named(families: dict[Architecture, Tiny], tmp_path: Path) -> None:
    """The encoder that an adapter reads by; another family's; a kind that is not drawn with."""
    small = families[Architecture.SD1]
    files.written(tmp_path / "ControlNet", "ip", files.adapter(small.modules.backbone, "plain"))
    with pytest.raises(InvalidRequest, match=r"models/ControlNetPreprocessor.*48 numbers"):
        ours(small, tmp_path, UNIT)
    there(tmp_path, files.adapter(families[Architecture.SDXL].modules.backbone, "plain"))
    with pytest.raises(OtherArchitecture, match="made for"):
        ours(small, tmp_path, UNIT)
    pulid = {"image_proj": {"mapping_0.0.weight": torch.zeros(8, 8)}, "ip_adapter": {}}
    files.written(tmp_path / "ControlNet", "ip", pulid)
    with pytest.raises(UnknownArchitecture, match="of a kind"):
        ours(small, tmp_path, UNIT)


def test_half_precision(tmp_path: Path) -> None:
    """As on a GPU: everything that meets the UNet is of its own kind of numbers, and the picture is alike."""
    small = tiny(Architecture.SDXL, tmp_path / "half")
    there(tmp_path, files.adapter(small.modules.backbone, "plus"))
    whole, request = in_memory(small), replace(ASKED, controls=(UNIT,))
    exact = np.asarray(drawn(whole, request, tmp_path)).astype(int)
    for module in (whole.backbone, whole.vae, *whole.text_encoders):
        module.to(torch.bfloat16)
    whole.dtype = torch.bfloat16
    assert float(np.abs(exact - np.asarray(drawn(whole, request, tmp_path))).mean()) < 12


def test_the_bin_file_comes_in_by_the_safe_conversion(
    families: dict[Architecture, Tiny], tmp_path: Path
) -> None:
    """A .bin is two tables of tensors in a pickle: converted it is the .safetensors, a ControlNet by kind."""
    tables = files.adapter(families[Architecture.SD1].modules.backbone, "plain")
    torch.save(tables, tmp_path / "ip-adapter_sd15.bin")
    (tmp_path / "models").mkdir()
    done = convert_pickle(tmp_path / "ip-adapter_sd15.bin", Store(tmp_path / "models"))
    assert done.file.path.parent.name == "ControlNet"
    from safetensors.torch import load_file

    tensors = load_file(done.file.path)
    assert len(tensors) == sum(map(len, tables.values()))
    assert (tensors["image_proj.proj.weight"] == tables["image_proj"]["proj.weight"]).all()
