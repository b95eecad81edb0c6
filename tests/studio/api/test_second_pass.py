"""Hires fix, refiner and tiling over the API: drawn as asked, said by the infotext, drawn again by it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.text_to_image_request import TextToImageRequest
from easel.studio.infotext import parse
from tests.studio.api.answers import info, pictures, sent

PICTURE = sent(Image.new("RGB", (64, 64), "#204080"))


def understood(running, **fields: Any) -> Any:
    """What the engine would be given."""
    ordering = Ordering(running.studio, "ada")
    asked = TextToImageRequest(**{"width": 64, "height": 64, "steps": 2, **fields})
    return ordering.prepare(ordering.begin(asked)).request


def test_hires_fix(running, ada) -> None:
    """The picture has the second pass's size, `Size` is the first one's, and the infotext draws it again."""
    fields = {"enable_hr": True, "hr_scale": 1.5, "hr_second_pass_steps": 1, "denoising_strength": 0.6,
              "hr_prompt": "a green star", "hr_sampler_name": "Euler", "hr_cfg": 5}  # fmt: skip
    answer = running.draw(**fields)
    (drawn,) = pictures(answer)
    said = info(answer)
    assert drawn.size == (96, 96)
    assert (said["width"], said["denoising_strength"]) == (64, 0.6)
    text = said["infotexts"][0]
    assert "Size: 64x64" in text
    assert "Hires sampler: Euler, Hires prompt: a green star, Hires CFG Scale: 5, Hires upscale: 1.5" in text
    assert "Hires steps: 1, Hires upscaler: Latent" in text
    again = ada.post("/sdapi/v1/txt2img", json={"infotext": text})
    assert info(again)["infotexts"] == said["infotexts"]
    assert pictures(again)[0].tobytes() == drawn.tobytes()


@pytest.mark.parametrize(
    ("fields", "size", "drawn"),
    [
        ({"hr_scale": 2}, (64, 64), (128, 128)),
        ({"hr_resize_x": 96}, (64, 64), (96, 96)),
        ({"hr_resize_x": 96, "hr_resize_y": 128}, (64, 64), (96, 128)),
        (
            {"width": 128, "height": 128, "firstphase_width": 64, "firstphase_height": 64},
            (64, 64),
            (128, 128),
        ),
        ({"width": 96, "height": 96, "firstphase_width": 64, "firstphase_height": 64}, (64, 64), (96, 96)),
        ({"firstphase_width": 72, "firstphase_height": 72, "hr_scale": 2}, (72, 72), (144, 144)),
    ],
)
def test_sizes_of_two_passes(running, fields, size, drawn) -> None:
    """A1111's ways to say them, the oldest too: width and height were the picture's then."""
    request = understood(running, enable_hr=True, **fields)
    assert (request.width, request.height) == size
    assert request.hires.size(*size) == drawn


def test_what_a_second_pass_takes_over(running) -> None:
    """What says nothing, or A1111's page's "Use same …", is the first pass's; 0.75 is A1111's strength."""
    request = understood(
        running,
        enable_hr=True,
        sampler_name="DPM++ 2M",
        hr_sampler_name="Use same sampler",
        hr_scheduler="Use same scheduler",
        hr_checkpoint_name="Use same checkpoint",
        scheduler="Karras",
    )
    hires = request.hires
    assert (hires.sampler, hires.schedule_type, hires.checkpoint) == ("DPM++ 2M", "Karras", None)
    assert (hires.denoising_strength, hires.upscaler, hires.steps, hires.cfg_scale) == (
        0.75,
        "Latent",
        0,
        None,
    )


def test_a_refiner_and_tiling(running) -> None:
    """The refiner is a checkpoint by any of its names; both stand in the infotext."""
    answer = running.draw(refiner_checkpoint="second.safetensors", refiner_switch_at=0.5, tiling=True)
    text = info(answer)["infotexts"][0]
    found = parse(text)
    assert found.parameters["Tiling"] == "True"
    assert found.parameters["Refiner"].startswith("second")
    assert found.parameters["Refiner switch at"] == "0.5"
    assert found.request()["refiner_checkpoint"].startswith("second")


def test_a_refiner_that_is_not_here(running) -> None:
    """400 with the names that are, as for a checkpoint."""
    for fields in ({"refiner_checkpoint": "nothing"}, {"enable_hr": True, "hr_checkpoint_name": "nothing"}):
        answer = running.draw(**fields)
        assert answer.status_code == 400
        assert "not found" in answer.json()["detail"]


def test_a_refiner_by_its_script(running) -> None:
    """A1111's always-on script counts where the request is silent."""
    script = {"Refiner": {"args": [True, "second", 0.4]}}
    request = understood(running, alwayson_scripts=script)
    assert (request.refiner.checkpoint.split()[0], request.refiner.switch_at) == ("second", 0.4)


def test_an_infotext_of_image_to_image(running) -> None:
    """txt2img cannot draw it again, and says so; img2img takes all but the pictures."""
    text = (
        "a star\nSteps: 2, Sampler: Euler, CFG scale: 7, Seed: 3, Size: 64x64, Denoising strength: 0.4, "
        "Mask blur: 6, Mask mode: Inpaint not masked, Inpaint area: Only masked, Masked area padding: 16, "
        "Masked content: latent noise, Noise multiplier: 1.1, RNG: CPU"
    )
    comments = info(running.draw(infotext=text))["comments"]
    assert any("img2img" in words for words in comments)
    fields = parse(text).request()
    assert fields["denoising_strength"] == 0.4
    assert (fields["mask_blur"], fields["inpainting_mask_invert"], fields["inpainting_fill"]) == (6, 1, 2)
    assert (fields["inpaint_full_res"], fields["inpaint_full_res_padding"]) == (True, 16)
    assert fields["initial_noise_multiplier"] == 1.1


KEYS = (
    "Sampler", "Schedule type", "Denoising strength", "Hires upscale", "Hires resize", "Hires steps",
    "Hires upscaler", "Hires checkpoint", "Hires sampler", "Hires schedule type", "Hires CFG Scale",
    "Refiner", "Refiner switch at", "Mask blur", "Masked area padding", "Masked content", "Inpaint area",
    "Size",
    "Seed",
    "Noise multiplier", "Extra noise", "Conditional mask weight", "Soft inpainting enabled", "Tiling",
    "Soft inpainting schedule bias", "Variation seed", "Clip skip",
)  # fmt: skip
VALUES = ("0", "1", "-1", "0.5", "1.5", "64x64", "99999x1", "1e9", "9" * 30, "many", "True", "None", "Latent",
          "ESRGAN_9x", "Euler", "Karras", "second", "nothing", "Only masked", "{}")  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=8),
    st.sampled_from((TextToImageRequest, ImageToImageRequest)),
)
def test_no_infotext_stops_a_request(running, said, kind) -> None:
    """What it says and is not here, or cannot be, is left out; of txt2img and of img2img."""
    ordering = Ordering(running.studio, "ada")
    text = "x\nSteps: 2, " + ", ".join(f"{key}: {value}" for key, value in said.items())
    pictures = {} if kind is TextToImageRequest else {"init_images": [PICTURE], "mask": PICTURE}
    ordering.prepare(ordering.begin(kind(infotext=text, **pictures)))
