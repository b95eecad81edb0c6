"""FaceID in published layouts: diffusers' own picture of the same numbers of a face; what is
read of which picture, and what is said where none can be."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from safetensors.torch import load_file

from easel.models import Architecture, Store, convert_pickle
from easel.studio.engine import ControlUnit, Engine, ImageToImage, InvalidRequest
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.control.clip_view import clip_view
from easel.studio.engine.errors import NoFace, OtherArchitecture
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.png import encode
from tests.studio.engine.conftest import STARTER
from tests.studio.engine.control import image_prompt_files as files
from tests.studio.engine.control.driving import CPU, in_memory
from tests.studio.engine.control.face_prompts import ASKED, UNIT, apart, judge, ours, pixels_of, read, there
from tests.studio.engine.control.test_face_networks import NOBODY, ONE, TWO, picture
from tests.studio.engine.tiny import Tiny, model_file, tiny

OTHER = picture((150, 150), (80, 60, 30))
PIPELINES = {Architecture.SD1: StableDiffusionPipeline, Architecture.SDXL: StableDiffusionXLPipeline}
WAIT = 120


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Tiny]:
    folder = tmp_path_factory.mktemp("families")
    return {one: tiny(one, folder) for one in PIPELINES}


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
