"""ControlNets: held to diffusers' own pipelines, on the starter and on tiny weights of SD 1.x and SDXL."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    EulerDiscreteScheduler,
    MultiControlNetModel,
    StableDiffusionControlNetPipeline,
)
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from easel.models import ModelFile, Store
from easel.studio.engine import ControlMode, ControlUnit, Drawn, Engine, InvalidRequest, TextToImage
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from tests.studio.engine.conftest import STARTER

ASKED = TextToImage(
    prompt="a red circle on a blue background", negative_prompt="green", width=128, height=96, steps=6,
    seed=7, sampler="Euler",
)  # fmt: skip
WAIT = 180
SIDE = (128, 96)


def controlnet(unet: Any, seed: int, strength: float = 0.05) -> ControlNetModel:
    """A ControlNet of this UNet whose outer convolutions say something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = ControlNetModel.from_unet(unet)
        for name, one in made.named_parameters():
            if name.startswith(("controlnet_down", "controlnet_mid", "controlnet_cond_embedding.conv_out")):
                torch.nn.init.normal_(one, std=strength)
    return made.eval()


def file(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def ring(box: tuple[int, int, int, int], colour: str = "white") -> Image.Image:
    image = Image.new("RGB", SIDE)
    ImageDraw.Draw(image).ellipse(box, outline=colour, width=6)
    return image


RING, OTHER = ring((20, 10, 90, 80)), ring((60, 30, 120, 90), "red")


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The starter, for the judge."""
    status = STARTER.stat()
    from easel.models import Kind

    one = ModelFile(STARTER, STARTER.name, Kind.CHECKPOINT, status.st_size, status.st_mtime)
    return load_checkpoint(one, device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture(scope="module")
def nets(starter: Checkpoint) -> dict[str, ControlNetModel]:
    return {"one": controlnet(starter.backbone, 1), "two": controlnet(starter.backbone, 2)}


@pytest.fixture(scope="module")
def controlled(
    nets: dict[str, ControlNetModel], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("controlled")
    (root / "Stable-diffusion").mkdir()
    (root / "ControlNet").mkdir()
    shutil.copy(STARTER, root / "Stable-diffusion")
    for name, net in nets.items():
        save_file(net.state_dict(), root / "ControlNet" / f"{name}.safetensors")
    engine = Engine(Store(root), default_checkpoint=STARTER.name)
    engine.start()
    yield engine
    engine.stop()


def draw(engine: Engine, *units: ControlUnit, **fields: Any) -> Drawn:
    (drawn,) = engine.submit("ada", replace(ASKED, controls=units, **fields)).result(WAIT)
    return drawn


def unit(model: str = "one", image: Image.Image = RING, **said: Any) -> ControlUnit:
    return ControlUnit(model=model, image=file(image), **said)


def judged(checkpoint: Checkpoint, net: Any, images: Any, **asked: Any) -> np.ndarray:
    config = {**checkpoint.family.scheduler_config, "timestep_spacing": "linspace"}
    pipeline = StableDiffusionControlNetPipeline(
        vae=checkpoint.vae, text_encoder=checkpoint.text_encoders[0], tokenizer=checkpoint.tokenizers[0],
        unet=checkpoint.backbone, scheduler=EulerDiscreteScheduler.from_config(config), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False, controlnet=net,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    found = pipeline(
        ASKED.prompt, images, height=ASKED.height, width=ASKED.width, num_inference_steps=ASKED.steps,
        guidance_scale=ASKED.cfg_scale, negative_prompt=ASKED.negative_prompt,
        generator=torch.Generator().manual_seed(ASKED.seed), output_type="np", **asked,
    )  # fmt: skip
    return (found.images[0] * 255).round().astype(int)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one - other).max())


@pytest.mark.parametrize(("weight", "start", "end"), [(1.0, 0.0, 1.0), (0.6, 0.0, 1.0), (1.0, 0.4, 1.0)])
def test_the_picture_of_diffusers(
    controlled: Engine,
    starter: Checkpoint,
    nets: dict[str, ControlNetModel],
    weight: float,
    start: float,
    end: float,
) -> None:
    """One ControlNet: diffusers' pipeline draws the same picture of the same weights, map and steps."""
    ours = draw(controlled, unit(weight=weight, guidance_start=start, guidance_end=end)).image
    theirs = judged(
        starter, nets["one"], RING, controlnet_conditioning_scale=weight, control_guidance_start=start,
        control_guidance_end=end,
    )  # fmt: skip
    assert apart(pixels(ours), theirs) <= 4
    assert apart(pixels(draw(controlled).image), theirs) > 20


def test_where_a_range_of_steps_ends(
    controlled: Engine, starter: Checkpoint, nets: dict[str, ControlNetModel]
) -> None:
    """By the steps that are done, as A1111's extension counts: diffusers ends one step earlier."""
    ours = draw(controlled, unit(guidance_end=0.5)).image
    theirs = judged(starter, nets["one"], RING, control_guidance_end=4 / ASKED.steps)
    assert apart(pixels(ours), theirs) <= 4
    assert apart(pixels(ours), judged(starter, nets["one"], RING, control_guidance_end=0.5)) > 4


def test_two_add_up(controlled: Engine, starter: Checkpoint, nets: dict[str, ControlNetModel]) -> None:
    """Several units count together, each with its own weight: diffusers' MultiControlNet."""
    ours = draw(controlled, unit(weight=0.7), unit("two", OTHER, weight=0.5)).image
    both = MultiControlNetModel([nets["one"], nets["two"]])
    theirs = judged(starter, both, [RING, OTHER], controlnet_conditioning_scale=[0.7, 0.5])
    assert apart(pixels(ours), theirs) <= 4


def test_in_company_as_alone(controlled: Engine) -> None:
    """Pictures of different people with different maps, weights and modes go together, and are drawn as
    each is alone."""
    asked = [
        (unit(),),
        (unit(image=OTHER, weight=0.5, control_mode=ControlMode.CONTROL),),
        (unit(guidance_end=0.5),),
        (),
    ]
    alone = [pixels(draw(controlled, *one).image) for one in asked]
    jobs = [
        controlled.submit(f"person {number}", replace(ASKED, controls=one))
        for number, one in enumerate(asked)
    ]
    for job, before in zip(jobs, alone, strict=True):
        (together,) = job.result(WAIT)
        assert apart(pixels(together.image), before) <= 1


def test_what_control_modes_mean(
    controlled: Engine, starter: Checkpoint, nets: dict[str, ControlNetModel]
) -> None:
    """Balanced, prompt first and control first are three pictures; layers' own weights say the second."""
    drawn = {mode: pixels(draw(controlled, unit(control_mode=mode)).image) for mode in ControlMode}
    assert apart(drawn[ControlMode.BALANCED], drawn[ControlMode.PROMPT]) > 4
    assert apart(drawn[ControlMode.CONTROL], drawn[ControlMode.PROMPT]) > 4
    layers = tuple(0.825 ** (12 - number) for number in range(len(nets["one"].controlnet_down_blocks) + 1))
    same = pixels(draw(controlled, unit(layer_weights=layers)).image)
    assert apart(drawn[ControlMode.PROMPT], same) <= 1


def test_where_a_control_counts(controlled: Engine) -> None:
    """A region: everywhere in white, nowhere in black, and pictures with different ones go together."""
    plain, whole = pixels(draw(controlled).image), pixels(draw(controlled, unit()).image)
    regions = [Image.new("L", SIDE, 255), Image.new("L", SIDE, 0), Image.linear_gradient("L").resize(SIDE)]
    jobs = [
        controlled.submit(f"person {number}", replace(ASKED, controls=(unit(region=file(one)),)))
        for number, one in enumerate(regions)
    ]
    white, black, some = (pixels(job.result(WAIT)[0].image) for job in jobs)
    assert apart(white, whole) <= 1
    assert apart(black, plain) <= 1
    assert min(apart(some, whole), apart(some, plain)) > 4


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (ControlUnit(model="one"), "image"),
        (ControlUnit(model="None", image=file(RING)), "model"),
        (ControlUnit(model="one", image=b"no picture"), "image"),
        (ControlUnit(model="one", image=file(RING), module="densepose"), "module"),
        (ControlUnit(model="None", module="reference_only"), "image"),
        (ControlUnit(model="one", image=file(RING), module="inpaint"), "mask"),
        (ControlUnit(model="one", image=file(RING), weight=3), "weight"),
        (ControlUnit(model="one", image=file(RING), guidance_start=0.6, guidance_end=0.5), "guidance_start"),
        (ControlUnit(model="one", image=file(RING), guidance_end=1.5), "guidance_end"),
    ],
)
def test_what_is_no_control_is_refused_at_once(controlled: Engine, bad: ControlUnit, field: str) -> None:
    """Before anything is queued, by the field's name."""
    with pytest.raises(InvalidRequest, match="allowed") as caught:
        controlled.submit("ada", replace(ASKED, controls=(bad,)))
    assert caught.value.field == f"controlnet.{field}"
