"""`POST /sdapi/v1/img2img`: A1111's fields in, A1111's answer out."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw

from scripts.starter.judge import judge
from tests.studio.api.answers import info, pictures, sent
from tests.studio.test_picture_bounds import in_pieces

QUICK = {"prompt": "a red circle on blue", "steps": 2, "seed": 7, "denoising_strength": 0.5}


@pytest.fixture
def blue() -> Image.Image:
    return Image.new("RGB", (96, 64), "#2040c0")


def draw(client: httpx.Client, image: Image.Image | str | list[str], **fields: Any) -> httpx.Response:
    images = image if isinstance(image, list) else [image if isinstance(image, str) else sent(image)]
    return client.post("/sdapi/v1/img2img", json={**QUICK, "init_images": images, **fields})


def test_a_picture_is_drawn_over(ada, blue) -> None:
    """The answer has the source's size where none is asked for, A1111's keys, and no picture in its echo."""
    answer = draw(ada, blue, alwayson_scripts={"ControlNet": {"args": []}})
    (drawn,) = pictures(answer)
    said = info(answer)
    assert drawn.size == (96, 64)
    assert said["denoising_strength"] == 0.5
    assert "Size: 96x64" in said["infotexts"][0]
    assert "Denoising strength: 0.5" in said["infotexts"][0]
    assert drawn.info["parameters"] == said["infotexts"][0]
    assert answer.json()["parameters"]["init_images"] is None


def test_the_source_is_named_where_that_is_asked_for(ada, blue) -> None:
    """A1111's `Init image hash` is the MD5 of the source's pixels, with its option `save_init_img` only."""
    said = info(draw(ada, blue, override_settings={"save_init_img": True}))["infotexts"][0]
    assert f"Init image hash: {hashlib.md5(blue.tobytes(), usedforsecurity=False).hexdigest()}, RNG" in said
    assert "Init image hash" not in info(draw(ada, blue))["infotexts"][0]


def test_nothing_changes_at_strength_0_and_the_mask_keeps_the_rest(ada, blue) -> None:
    """Outside of a mask not a pixel changes; what is said of it stands in the infotext."""
    mask = Image.new("L", blue.size, 0)
    ImageDraw.Draw(mask).rectangle((0, 0, 40, 63), fill=255)
    answer = draw(
        ada,
        blue,
        mask=sent(mask),
        mask_blur=2,
        inpainting_fill=1,
        inpaint_full_res=False,
        denoising_strength=0.9,
        width=96,
        height=64,
        include_init_images=True,
    )
    (drawn,) = pictures(answer)
    assert drawn.convert("RGB").crop((64, 0, 96, 64)).getcolors() == [(32 * 64, (0x20, 0x40, 0xC0))]
    assert drawn.convert("RGB").crop((0, 0, 32, 64)).getcolors() != [(32 * 64, (0x20, 0x40, 0xC0))]
    text = info(answer)["infotexts"][0]
    assert "Mask blur: 2" in text
    assert "Masked content" not in text
    assert "Inpaint area" not in text
    assert answer.json()["parameters"]["mask"] == sent(mask)


def test_a_batch_of_pictures(ada, blue) -> None:
    """Several sources are one batch, each drawn over its own; fewer pictures than sources are refused."""
    red = Image.new("RGB", blue.size, "#c02020")
    two = [sent(blue), f"data:image/png;base64,{sent(red)}"]
    first, second = pictures(draw(ada, two, batch_size=2, denoising_strength=0.1))
    assert first.resize((1, 1)).getpixel((0, 0))[2] > first.resize((1, 1)).getpixel((0, 0))[0]
    assert second.resize((1, 1)).getpixel((0, 0))[0] > second.resize((1, 1)).getpixel((0, 0))[2]
    assert draw(ada, two, batch_size=1).json()["detail"][0]["loc"] == ["body", "batch_size"]


@pytest.mark.parametrize("body", [{}, {"init_images": None}, {"init_images": []}])
def test_no_picture(ada, body) -> None:
    """A1111's words and status, which clients look for."""
    answer = ada.post("/sdapi/v1/img2img", json={**QUICK, **body})
    assert answer.status_code == 404
    assert answer.json()["detail"] == "Init image not found"


def _bomb() -> str:
    """A few kilobytes that say they are 20,000 x 20,000 pixels."""
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG", compress_level=9)
    return base64.b64encode(file.getvalue()).decode()


def _long(size: tuple[int, int]) -> str:
    """Within the megapixels, all of them in one line: its resizing held every thread for eight seconds."""
    file = io.BytesIO()
    Image.new("1", size).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("http://169.254.169.254/latest/meta-data", "address"),
        ("https://example.org/a.png", "address"),
        ("", "empty"),
        ("%%%", "empty"),
        ("data:image/png;base64,", "empty"),
        ("aGVsbG8=", "not a picture"),
        ("x" * 100_000, "picture"),
        (sent(Image.effect_noise((64, 64), 90))[:800], "broken"),
        (_bomb(), "megapixels"),
        (_long((1, 70_000)), "65535 pixels a side"),
        (_long((70_000, 1)), "65535 pixels a side"),
        (base64.b64encode(in_pieces(b"tEXt", 2_000)).decode(), "broken"),
        (base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode(), "not a picture"),
    ],
    ids=["local", "address", "nothing", "no base64", "empty uri", "text", "letters", "cut", "bomb", "long",
         "wide", "pieces", "svg"],
)  # fmt: skip
@pytest.mark.parametrize("field", ["init_images", "mask"])
def test_what_is_no_picture(ada, blue, image, words, field) -> None:
    """422 that names the field, whatever is sent as a picture; nothing is fetched."""
    if field == "mask" and not image:
        pytest.skip("an empty mask is none")
    body = (
        {"init_images": [image]} if field == "init_images" else {"init_images": [sent(blue)], "mask": image}
    )
    answer = ada.post("/sdapi/v1/img2img", json={**QUICK, **body})
    assert answer.status_code == 422, answer.text[:300]
    assert answer.json()["detail"][0]["loc"] == ["body", field]
    assert words in answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"denoising_strength": 1.5}, "denoising_strength"), ({"resize_mode": 4}, "resize_mode"),
        ({"resize_mode": "stretch"}, "resize_mode"), ({"init_images": "x"}, "init_images"),
        ({"mask": "M", "inpainting_fill": 9}, "inpainting_fill"),
        ({"mask": "M", "mask_blur": 999}, "mask_blur_x"),
        ({"mask": "M", "inpaint_full_res_padding": -1}, "inpaint_full_res_padding"),
        ({"latent_mask": "x"}, "latent_mask"), ({"initial_noise_multiplier": 5}, "initial_noise_multiplier"),
        ({"override_settings": {"img2img_background_color": "bluish"}}, "img2img_background_color"),
        ({"override_settings": {"inpainting_mask_weight": 2}}, "inpainting_mask_weight"),
        ({"script_name": "outpainting mk2", "script_args": [None, 128, 8, ["north"]]},
         "script_args.Outpainting direction"),
        ({"script_name": "loopback", "script_args": [99]}, "script_args.Loops"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be(ada, blue, fields, field) -> None:
    """422 that points at the field."""
    if fields.get("mask") == "M":
        fields = {**fields, "mask": sent(Image.new("L", blue.size, 255))}
    answer = draw(ada, blue, **fields)
    assert answer.status_code == 422, answer.text[:300]
    assert answer.json()["detail"][0]["loc"][:2] == ["body", field]


def test_latents_are_made_of_no_more_than_may_be_drawn(ada) -> None:
    """`resize_mode` 3 shows the VAE the picture as it is sent: one that nobody may draw is refused, and what
    to do is said. Made smaller first, it is drawn over; so it is where only what is masked is cut out."""
    large = Image.new("L", (2064, 2048), 90)
    answer = draw(ada, large, resize_mode=3, width=64, height=64)
    assert answer.status_code == 422, answer.text[:300]
    said = answer.json()["detail"][0]
    assert said["loc"] == ["body", "init_images"]
    assert "2064x2048 with resize_mode 3" in said["msg"]
    assert "resize_mode 0, 1 and 2" in said["msg"]
    assert pictures(draw(ada, large, resize_mode=0, width=64, height=64))
    mask = Image.new("1", large.size)
    mask.paste(1, (0, 0, 64, 64))
    cut = {"mask": sent(mask), "inpaint_full_res": True, "mask_blur": 0}
    assert pictures(draw(ada, large, resize_mode=3, width=64, height=64, **cut))


def test_soft_inpainting_is_of_img2img(ada, blue) -> None:
    """The always-on script counts with a mask, and stands in the infotext; txt2img has none."""
    mask = Image.linear_gradient("L").resize(blue.size)
    answer = draw(
        ada,
        blue,
        mask=sent(mask),
        inpaint_full_res=False,
        alwayson_scripts={"Soft Inpainting": {"args": [True, 1.5, 0.5, 4, 0, 0.5, 2]}},
    )
    assert "Soft inpainting enabled: True, Soft inpainting schedule bias: 1.5" in info(answer)["infotexts"][0]


def test_the_first_call_a_newcomer_types(ada) -> None:
    """A prompt and nothing else draws what it says: size, steps and sampler are the checkpoint's own. Drawn
    over, the picture keeps its size, and at half strength the place of what is in it."""
    answer = ada.post("/sdapi/v1/txt2img", json={"prompt": "a red circle on a blue background", "seed": 1})
    (circle,) = pictures(answer)
    seen = judge(circle)
    assert (seen.colour, seen.shape, seen.ground) == ("red", "circle", "blue")
    body = {"prompt": "a green circle on a blue background", "denoising_strength": 0.7, "seed": 2}
    (over,) = pictures(ada.post("/sdapi/v1/img2img", json={**body, "init_images": [sent(circle)]}))
    then = judge(over)
    assert over.size == circle.size
    assert (then.colour, then.shape, then.ground) == ("green", "circle", "blue")
    assert abs(then.x - seen.x) < 0.1
    assert abs(then.y - seen.y) < 0.1


@pytest.mark.parametrize("sampler", ["DDIM", "UniPC", "Euler", "DPM adaptive"])
def test_a_strength_of_no_step(ada, blue, sampler) -> None:
    """Samplers of timesteps make no call of the UNet where the strength is less than two steps: the picture
    goes through the VAE and back, at any batch. One such request once ended the engine for everybody."""
    for strength in (0, 0.3):
        answer = draw(ada, blue, sampler_name=sampler, batch_size=2, denoising_strength=strength)
        assert [one.size for one in pictures(answer)] == [(96, 64)] * 2
    assert ada.get("/sdapi/v1/progress").json()["progress"] == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"mask_blur": 0, "inpainting_fill": 1, "inpaint_full_res": False},
        {"mask_blur_x": 0, "mask_blur_y": 3, "mask_round": False},
        {"alwayson_scripts": {"Soft Inpainting": {"args": [True, 2]}}},
        {"width": 160, "override_settings": {
            "img2img_fix_steps": True, "img2img_color_correction": True, "upscaler_for_img2img": "Lanczos"}},
        {"prompt": "star", "disable_extra_networks": True},
    ],
)  # fmt: skip
def test_an_infotext_draws_over_the_same(ada, blue, fields) -> None:
    """With the same picture and mask the text alone draws it again, and units of ControlNet that are sent
    beside it take nothing of it away."""
    mask = Image.new("L", blue.size)
    ImageDraw.Draw(mask).ellipse((20, 10, 60, 50), fill=255)
    masked = {"mask": sent(mask), "exact": True}
    answer = draw(ada, blue, **masked, **fields)
    (text,) = info(answer)["infotexts"]
    beside = {"alwayson_scripts": {"ControlNet": {"args": [{"enabled": False}]}}}
    again = ada.post(
        "/sdapi/v1/img2img", json={"init_images": [sent(blue)], "infotext": text, **masked, **beside}
    )
    assert info(again)["infotexts"] == [text]
    assert pictures(again)[0].tobytes() == pictures(answer)[0].tobytes()


def test_an_upscaler_of_an_infotext_that_is_not_here(ada, blue) -> None:
    """Left out and told, as all that a text names."""
    text = "x\nSteps: 2, Sampler: Euler, Seed: 1, Upscaler for img2img: gone, Version: Easel 1"
    answer = ada.post("/sdapi/v1/img2img", json={"init_images": [sent(blue)], "infotext": text, "steps": 1})
    assert "upscaler_for_img2img gone of the infotext was left out" in " ".join(info(answer)["comments"])
