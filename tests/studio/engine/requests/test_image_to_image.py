"""Pictures from pictures: held to diffusers' own pipeline, and to what can be seen."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionImg2ImgPipeline
from PIL import Image, ImageDraw

from easel.models import ModelFile, Store
from easel.studio.engine import Drawn, Engine, InvalidRequest, TextToImage
from easel.studio.engine.imaging import MaskedContent, ResizeMode, SoftInpainting
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.engine.requests.image_to_image import ImageToImage, Mask
from scripts.starter.judge import judge

RED = TextToImage(
    prompt="a red circle on a blue background", width=128, height=128, steps=12, seed=7, sampler="Euler"
)
GREEN = replace(RED, prompt="a green circle on a blue background")
WAIT = 180


def file(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def draw(engine: Engine, request: TextToImage) -> Drawn:
    (drawn,) = engine.submit("ada", request).result(WAIT)
    return drawn


@pytest.fixture(scope="module")
def circle(engine: Engine) -> Image.Image:
    """A red circle on blue, as the starter draws it."""
    return draw(engine, RED).image


@pytest.fixture(scope="module")
def left_half() -> bytes:
    mask = Image.new("L", (128, 128))
    ImageDraw.Draw(mask).rectangle((0, 0, 63, 127), fill=255)
    return file(mask)


def over(image: Image.Image, **asked: object) -> ImageToImage:
    return ImageToImage(images=(file(image),), **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("strength", [0.3, 0.75, 1.0])
def test_the_picture_of_diffusers(engine: Engine, store: Store, circle: Image.Image, strength: float) -> None:
    """Of the same latents and seed, diffusers' pipeline draws the same picture. A1111 enters one step earlier
    than diffusers does, so that a strength of 0 changes something, too."""
    request = replace(GREEN, sampler="Euler", source=over(circle, denoising_strength=strength))
    ours = draw(engine, request).image
    (found,) = [one for one in store.checkpoints() if one.name == "second.safetensors"]
    theirs = _judged(found, circle, request, strength)
    assert int(np.abs(pixels(ours) - theirs).max()) <= 4


def _judged(file: ModelFile, image: Image.Image, request: TextToImage, strength: float) -> np.ndarray:
    checkpoint = load_checkpoint(file, device=torch.device("cpu"), dtype=torch.float32)
    config = {**checkpoint.family.scheduler_config, "timestep_spacing": "linspace"}
    pipeline = StableDiffusionImg2ImgPipeline(
        vae=checkpoint.vae, text_encoder=checkpoint.text_encoders[0], tokenizer=checkpoint.tokenizers[0],
        unet=checkpoint.backbone, scheduler=EulerDiscreteScheduler.from_config(config), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    whole = torch.from_numpy(pixels(image).astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.inference_mode():
        latents = checkpoint.vae.encode(whole).latent_dist.mode() * checkpoint.vae.config.scaling_factor
    steps = int(min(strength, 0.999) * request.steps) + 1
    found = pipeline(
        request.prompt, image=latents, strength=steps / request.steps, num_inference_steps=request.steps,
        guidance_scale=request.cfg_scale, generator=torch.Generator().manual_seed(request.seed),
        output_type="np",
    )  # fmt: skip
    return (found.images[0] * 255).round().astype(int)


def test_low_strength_keeps_the_place_and_changes_the_colour(engine: Engine, circle: Image.Image) -> None:
    """What is drawn over keeps where things are, and takes the prompt's colour."""
    before = judge(circle)
    after = judge(draw(engine, replace(GREEN, source=over(circle, denoising_strength=0.7))).image)
    assert (before.colour, after.colour, after.ground) == ("red", "green", "blue")
    assert abs(before.x - after.x) < 0.06
    assert abs(before.y - after.y) < 0.06
    nothing = draw(engine, replace(GREEN, source=over(circle, denoising_strength=0.0))).image
    assert judge(nothing).colour == "red"


@pytest.mark.parametrize("only_masked", [True, False], ids=["only masked", "whole"])
@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
@pytest.mark.parametrize("content", list(MaskedContent))
def test_only_what_is_masked_changes(
    engine: Engine,
    circle: Image.Image,
    left_half: bytes,
    content: MaskedContent,
    sampler: str,
    only_masked: bool,
) -> None:
    """Where the mask is black the picture is as it was, to the bit; where it is white it is drawn anew."""
    mask = Mask(image=left_half, content=content, only_masked=only_masked)
    request = replace(GREEN, sampler=sampler, source=over(circle, denoising_strength=0.8, mask=mask))
    drawn = draw(engine, request).image
    assert drawn.size == circle.size
    changed = np.abs(pixels(drawn) - pixels(circle)).max(-1)
    assert changed[:, 80:].max() == 0
    assert changed[40:88, 40:60].mean() > 20
    red, green, _ = pixels(drawn)[56:72, 48:58].reshape(-1, 3).mean(0)
    assert green > red


def test_a_mask_that_is_turned_round(engine: Engine, circle: Image.Image, left_half: bytes) -> None:
    """`invert` draws where the mask is black."""
    mask = Mask(image=left_half, invert=True, only_masked=False)
    drawn = draw(engine, replace(GREEN, source=over(circle, denoising_strength=0.8, mask=mask))).image
    changed = np.abs(pixels(drawn) - pixels(circle)).max(-1)
    assert changed[:, :48].max() == 0
    assert changed[40:88, 72:88].mean() > 20


def test_soft_inpainting_keeps_what_is_far_from_the_mask(
    engine: Engine, circle: Image.Image, left_half: bytes
) -> None:
    """The mask's blur decides how much is drawn anew: far from it nothing, within it the colour changes."""
    mask = Mask(image=left_half, soft=SoftInpainting(), blur_x=8, blur_y=8, only_masked=False)
    drawn = draw(engine, replace(GREEN, source=over(circle, denoising_strength=0.9, mask=mask))).image
    changed = np.abs(pixels(drawn) - pixels(circle)).max(-1)
    assert changed[:, 112:].mean() < 4
    assert changed[40:88, 40:56].mean() > 20


def test_a_blank_mask_is_image_to_image_and_says_so(engine: Engine, circle: Image.Image) -> None:
    """As in A1111: "only masked" without anything masked draws all of it, with a comment."""
    blank = Mask(image=file(Image.new("L", (128, 128))))
    drawn = draw(engine, replace(GREEN, source=over(circle, denoising_strength=0.7, mask=blank)))
    assert judge(drawn.image).colour == "green"
    assert any("mask is blank" in words for words in drawn.notes)


@pytest.mark.parametrize("mode", list(ResizeMode))
@pytest.mark.parametrize("size", [(200, 128), (61, 90), (300, 33)])
def test_any_size_comes_to_the_size_that_is_drawn(
    engine: Engine, mode: ResizeMode, size: tuple[int, int]
) -> None:
    """Four ways to bring a picture of another shape to the one asked for, all of them drawn."""
    request = replace(GREEN, width=96, height=64, steps=2)
    source = over(Image.new("RGB", size, (30, 80, 220)), resize_mode=mode, denoising_strength=0.5)
    assert draw(engine, replace(request, source=source)).image.size == (96, 64)


def test_one_picture_for_each_of_a_batch(engine: Engine) -> None:
    """Several sources with a batch: each picture has its own."""
    images = tuple(file(Image.new("RGB", (64, 64), colour)) for colour in ("white", "black"))
    source = ImageToImage(images=images, denoising_strength=0.0)
    request = replace(RED, width=64, height=64, steps=2, batch_size=2, source=source)
    light, dark = engine.submit("ada", request).result(WAIT)
    assert pixels(light.image).mean() > 200 > 60 > pixels(dark.image).mean()


def test_interrupting_keeps_what_is_not_masked(engine: Engine, circle: Image.Image, left_half: bytes) -> None:
    """What is stopped half-way is finished as it is: put back, with the picture around it."""
    source = over(circle, denoising_strength=0.9, mask=Mask(image=left_half))
    job = engine.submit("ada", replace(GREEN, steps=150, source=source))
    for progress in job.watch(timeout=WAIT):
        if progress.step > 3:
            job.cancel(keep_partial=True)
            break
    (drawn,) = job.result(WAIT)
    assert drawn.partial
    assert np.abs(pixels(drawn.image) - pixels(circle)).max(-1)[:, 80:].max() == 0


@pytest.mark.parametrize(
    ("source", "field"),
    [
        (ImageToImage(images=()), "init_images"),
        (ImageToImage(images=(b"no picture",)), "init_images"),
        (
            ImageToImage(images=(file(Image.new("RGB", (8, 8))),), denoising_strength=1.5),
            "denoising_strength",
        ),
        (ImageToImage(images=(file(Image.new("RGB", (8, 8))),), background="nocolour"), None),
        (ImageToImage(images=(file(Image.new("RGB", (8, 8))),), mask=Mask(image=b"")), "mask"),
        (
            ImageToImage(
                images=(file(Image.new("RGB", (8, 8))),),
                mask=Mask(image=file(Image.new("L", (8, 8))), blur_x=-1),
            ),
            "mask_blur_x",
        ),
    ],
)
def test_what_is_no_source_is_refused_at_once(
    engine: Engine, source: ImageToImage, field: str | None
) -> None:
    """Before anything is queued, by the field's name. A colour counts only where something is transparent."""
    request = replace(RED, steps=1, source=source)
    if field is None:
        assert draw(engine, request)
        return
    with pytest.raises(InvalidRequest, match="allowed") as caught:
        engine.submit("ada", request)
    assert caught.value.field == field
