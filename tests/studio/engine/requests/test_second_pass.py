"""Hires fix, refiner and tiling: held to the same thing done by hand, and to what can be seen."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from easel.models import Store, UnknownModel
from easel.studio.engine import Drawn, Engine, InvalidRequest, SamplerSettings, TextToImage
from easel.studio.engine.imaging import LATENT_UPSCALE_MODES
from easel.studio.engine.latents.tiling import edges_meet
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.requests.image_to_image import ImageToImage
from easel.studio.engine.requests.second_pass import HiresFix, Refiner
from scripts.starter.judge import judge

RED = TextToImage(
    prompt="a red circle on a blue background", width=128, height=128, steps=12, seed=7, sampler="Euler"
)
SMALL = replace(RED, width=64, height=64, steps=4)
WAIT = 180
TOLERANCE = 2


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def draw(engine: Engine, request: TextToImage) -> Drawn:
    (drawn,) = engine.submit("ada", request).result(WAIT)
    return drawn


def differs(one: Drawn, other: Drawn) -> int:
    return int(np.abs(pixels(one.image) - pixels(other.image)).max())


@pytest.mark.parametrize(
    "upscaler",
    ["Latent", "Lanczos"]
    + [pytest.param(one, marks=pytest.mark.slow) for one in LATENT_UPSCALE_MODES if one != "Latent"],
)
def test_hires_keeps_what_is_drawn(engine: Engine, upscaler: str) -> None:
    """The first pass's circle, larger, where it was."""
    small = judge(draw(engine, RED).image)
    drawn = draw(engine, replace(RED, hires=HiresFix(upscaler=upscaler, denoising_strength=0.4))).image
    assert drawn.size == (256, 256)
    seen = judge(drawn)
    assert (seen.colour, seen.ground) == (small.colour, small.ground)
    assert abs(seen.x - small.x) < 0.08
    assert abs(seen.y - small.y) < 0.08


def test_hires_is_image_to_image_of_what_was_enlarged(engine: Engine) -> None:
    """By hand: draw, enlarge with Lanczos, draw over it with the same seed and as many steps: the same
    pixels."""
    first = draw(engine, SMALL).image.resize((128, 96), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    first.save(out, "PNG")
    by_hand = draw(
        engine,
        replace(
            SMALL, prompt="a green star", width=128, height=96, steps=3, sampler="Heun",
            sampling=SamplerSettings(img2img_fix_steps=True),
            source=ImageToImage(images=(out.getvalue(),), denoising_strength=0.5),
        ),
    )  # fmt: skip
    hires = HiresFix(
        upscaler="Lanczos", denoising_strength=0.5, resize_x=128, resize_y=96, steps=3, sampler="Heun",
        prompt="a green star",
    )  # fmt: skip
    # enlarged to cover the size, what sticks out is cut off: of a square that is not what is done by hand
    square = replace(hires, resize_y=128)
    stretched = draw(engine, replace(SMALL, hires=square))
    assert stretched.image.size == (128, 128)
    assert draw(engine, replace(SMALL, hires=hires)).image.size == by_hand.image.size
    first = draw(engine, SMALL).image.resize((128, 128), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    first.save(out, "PNG")
    source = ImageToImage(images=(out.getvalue(),), denoising_strength=0.5)
    assert differs(stretched, draw(engine, replace(by_hand.request, height=128, source=source))) <= TOLERANCE


@pytest.mark.parametrize(
    ("hires", "size"),
    [
        (HiresFix(scale=1.5), (96, 96)),
        (HiresFix(resize_x=160), (160, 160)),
        (HiresFix(resize_y=72), (72, 72)),
        (HiresFix(resize_x=128, resize_y=64), (128, 64)),
        (HiresFix(resize_x=64, resize_y=128), (64, 128)),
        (HiresFix(scale=1.3), (80, 80)),
    ],
)
def test_sizes_of_the_second_pass(engine: Engine, hires: HiresFix, size: tuple[int, int]) -> None:
    """By a factor, by one side, or by both: then the rest is cut off evenly."""
    assert draw(engine, replace(SMALL, steps=2, hires=hires)).image.size == size


@pytest.mark.parametrize(
    ("hires", "field"),
    [
        (HiresFix(scale=0.5), "hr_scale"),
        (HiresFix(scale=float("nan")), "hr_scale"),
        (HiresFix(resize_x=5000), "hr_resize_x"),
        (HiresFix(upscaler="nothing"), "hr_upscaler"),
        (HiresFix(steps=151), "hr_second_pass_steps"),
        (HiresFix(denoising_strength=2), "denoising_strength"),
    ],
)
def test_a_second_pass_that_cannot_be(engine: Engine, hires: HiresFix, field: str) -> None:
    """Refused before anything is drawn, by the field's name."""
    with pytest.raises(InvalidRequest, match="allowed") as caught:
        engine.submit("ada", replace(SMALL, hires=hires))
    assert caught.value.field == field


def test_another_checkpoint_for_each_part(engine: Engine) -> None:
    """Refiner and hires checkpoint are switched to in the middle of a picture. With the same weights under
    another name it is the same picture, and two people's do not hold each other up."""
    plain = draw(engine, RED)
    refined = replace(RED, refiner=Refiner(checkpoint="second.safetensors", switch_at=0.6))
    jobs = [engine.submit(owner, refined) for owner in ("ada", "bob")]
    for job in jobs:
        assert differs(job.result(WAIT)[0], plain) <= TOLERANCE
        assert job.progress().fraction == 1.0
    hires = HiresFix(upscaler="Latent", scale=1.5, denoising_strength=0.5)
    other = replace(hires, checkpoint="second.safetensors")
    assert differs(draw(engine, replace(SMALL, hires=hires)), draw(engine, replace(SMALL, hires=other))) <= 2
    with pytest.raises(UnknownModel):
        engine.submit("ada", replace(RED, refiner=Refiner(checkpoint="nowhere")))


def test_a_refiner_draws_the_rest(store: Store, tmp_path: Path) -> None:
    """From where it is switched to, another checkpoint's weights count: not before, and not at its end."""
    from safetensors.torch import load_file, save_file

    (found,) = [one for one in store.checkpoints() if one.name == "second.safetensors"]
    folder = tmp_path / "Stable-diffusion"
    folder.mkdir()
    tensors = load_file(found.path)
    save_file(tensors, folder / "base.safetensors", metadata={"modelspec.prediction_type": "v"})
    last = next(name for name in tensors if name.endswith("model.diffusion_model.out.2.bias"))
    tensors[last] = tensors[last] + 0.3
    save_file(tensors, folder / "other.safetensors", metadata={"modelspec.prediction_type": "v"})
    engine = Engine(Store(tmp_path), default_checkpoint="base.safetensors")
    engine.start()
    try:
        base = draw(engine, SMALL)
        other = draw(engine, replace(SMALL, checkpoint="other.safetensors"))
        late = draw(engine, replace(SMALL, refiner=Refiner(checkpoint="other.safetensors", switch_at=1.0)))
        half = draw(engine, replace(SMALL, refiner=Refiner(checkpoint="other.safetensors", switch_at=0.5)))
        soon = draw(engine, replace(SMALL, refiner=Refiner(checkpoint="other.safetensors", switch_at=0.0)))
    finally:
        engine.stop()
    assert differs(late, base) <= TOLERANCE
    assert differs(soon, other) <= TOLERANCE
    assert differs(half, base) > 10 < differs(half, other)


def test_the_edges_of_a_tile_meet(engine: Engine, store: Store) -> None:
    """Convolutions look around the edges: a UNet's answer to rolled latents is its answer, rolled. Afterwards
    it is as before, and a picture that does not tile is not touched by one that does."""
    (found,) = [one for one in store.checkpoints() if one.name == "second.safetensors"]
    checkpoint = load_checkpoint(found, device=torch.device("cpu"), dtype=torch.float32)
    latents = torch.randn(1, checkpoint.family.latent_channels, 32, 32)
    tokens = torch.zeros(1, 77, checkpoint.backbone.config.cross_attention_dim)

    def answer(given: torch.Tensor, *, tiling: bool) -> torch.Tensor:
        with torch.inference_mode(), edges_meet(checkpoint.backbone, tiling):
            out: torch.Tensor = checkpoint.backbone(
                given, 500, encoder_hidden_states=tokens, return_dict=False
            )[0]
        return out

    rolled = latents.roll((8, 16), (2, 3))
    for tiling, equal in ((True, True), (False, False)):
        there = answer(latents, tiling=tiling).roll((8, 16), (2, 3))
        assert torch.allclose(answer(rolled, tiling=tiling), there, atol=1e-4) is equal
    plain = draw(engine, SMALL)
    tile = engine.submit("bob", replace(SMALL, tiling=True, steps=20))
    beside = draw(engine, SMALL)
    assert differs(tile.result(WAIT)[0], plain) > TOLERANCE
    assert differs(beside, plain) <= TOLERANCE
