"""webuiapi, the Python client of A1111's API: every call it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import webuiapi
from PIL import Image

from tests.studio.api.clients_table import rows

SMALL: dict[str, Any] = {"prompt": "a red circle", "steps": 2, "width": 64, "height": 64}
PICTURE = Image.new("RGB", (64, 64), "#2040c0")
# By name: how it is called, and what it answers with.
CALLS: dict[str, tuple[Callable[[webuiapi.WebUIApi], Any], type]] = {
    "txt2img": (lambda it: it.txt2img(**SMALL), webuiapi.WebUIApiResult),
    "img2img": (lambda it: it.img2img(images=[PICTURE], **SMALL), webuiapi.WebUIApiResult),
    "extra_single_image": (
        lambda it: it.extra_single_image(PICTURE, upscaler_1="Lanczos"), webuiapi.WebUIApiResult
    ),
    "extra_batch_images": (
        lambda it: it.extra_batch_images([PICTURE], upscaler_1="Lanczos"), webuiapi.WebUIApiResult
    ),
    "png_info": (lambda it: it.png_info(PICTURE), webuiapi.WebUIApiResult),
    "interrogate": (lambda it: it.interrogate(PICTURE), webuiapi.WebUIApiResult),
    "set_options": (lambda it: it.set_options({"send_seed": True}), type(None)),
    "util_set_model": (lambda it: it.util_set_model("easel-starter"), type(None)),
    "util_get_current_model": (lambda it: it.util_get_current_model(), str),
    "util_get_model_names": (lambda it: it.util_get_model_names(), list),
    "util_get_sampler_names": (lambda it: it.util_get_sampler_names(), list),
    "util_get_scheduler_names": (lambda it: it.util_get_scheduler_names(), list),
    "util_wait_for_ready": (lambda it: it.util_wait_for_ready(), type(None)),
    "custom_get": (lambda it: it.custom_get("sdapi/v1/loras"), list),
    "custom_post": (
        lambda it: it.custom_post("sdapi/v1/txt2img", payload=SMALL), webuiapi.WebUIApiResult
    ),
    "controlnet_detect": (lambda it: it.controlnet_detect([PICTURE]), webuiapi.WebUIApiResult),
    "has_adetailer": (lambda it: it.has_adetailer, bool),
    "has_animatediff": (lambda it: it.has_animatediff, bool),
    "has_controlnet": (lambda it: it.has_controlnet, bool),
}  # fmt: skip
KINDS: dict[str, type] = {
    "interrupt": dict, "skip": dict, "get_options": dict, "get_progress": dict, "get_cmd_flags": dict,
    "get_samplers": list, "get_schedulers": list, "get_sd_vae": list, "get_upscalers": list,
    "get_latent_upscale_modes": list, "get_loras": list, "get_sd_models": list, "get_hypernetworks": list,
    "get_face_restorers": list, "get_realesrgan_models": list, "get_prompt_styles": list,
    "refresh_checkpoints": type(None), "get_scripts": dict, "get_embeddings": dict, "get_memory": dict,
    "get_artists": list, "get_artist_categories": list, "controlnet_version": int,
    "controlnet_model_list": list, "controlnet_module_list": list, "list_prompt_gen_models": list,
    "prompt_gen": list,
}  # fmt: skip
# What a call is made of, and no call of its own.
PARTS = {"async_post", "check_extensions", "get_endpoint", "post_and_get_api_result", "set_auth"}


@pytest.fixture
def client(running) -> webuiapi.WebUIApi:
    """webuiapi against the running studio; its constructor asks for the scripts."""
    return webuiapi.WebUIApi(baseurl=f"{running.url}/sdapi/v1")


def test_webuiapi_draws(client) -> None:
    """webuiapi sends its whole payload, inactive features included, and reads the picture and its info."""
    result = client.txt2img(prompt="a red circle", seed=5, steps=2, width=64, height=64, n_iter=2)
    assert [one.size for one in result.images] == [(64, 64)] * 2
    assert result.info["all_seeds"] == [5, 6]
    assert result.image.info["parameters"] == result.info["infotexts"][0]
    assert client.png_info(result.image).info == result.info["infotexts"][0]


def test_webuiapi_draws_over(client) -> None:
    """img2img and its mask as webuiapi sends them, with image_cfg_scale and all else that it fills in."""
    image = Image.new("RGB", (64, 64), "#2040c0")
    result = client.img2img(images=[image], prompt="a star", seed=5, steps=2, width=64, height=64)
    assert result.image.size == (64, 64)
    assert result.info["comments"] == []
    mask = Image.new("L", (64, 64), 255)
    masked = client.img2img(
        images=[image], mask_image=mask, inpainting_fill=1, steps=2, width=64, height=64, prompt="a star"
    )
    assert masked.info["extra_generation_params"]["Inpaint area"] == "Only masked"


def test_webuiapi_switches(client) -> None:
    """util_set_model posts a title as an option and reads it back."""
    client.util_set_model("second")
    assert client.util_get_current_model().startswith("second.safetensors")
    client.util_set_model("easel-starter")
    assert client.util_get_current_model().startswith("easel-starter")
    assert "second" in " ".join(client.util_get_model_names())


def test_every_call_of_webuiapi_is_in_the_table() -> None:
    """docs/reference/clients.md has a row for each of its calls, and this file tries each."""
    calls = {name for name in dir(webuiapi.WebUIApi) if not name.startswith("_")} - PARTS
    assert set(rows()["webuiapi"]) == {*CALLS, *KINDS} == calls


@pytest.mark.parametrize("name", [*CALLS, *KINDS])
def test_webuiapi_calls(client, ada, interrogator_files, name) -> None:
    """Each call answers as it does with A1111, or fails where the table says so."""
    call, kind = CALLS.get(name) or (lambda it: getattr(it, name)(), KINDS[name])
    if rows()["webuiapi"][name].startswith("yes"):
        assert isinstance(call(client), kind)
    else:
        with pytest.raises((RuntimeError, KeyError, TypeError, AssertionError)):
            assert isinstance(call(client), kind)


def test_webuiapi_fails_readably(client) -> None:
    """What is not supported is an error that says so, and no other picture."""
    with pytest.raises(RuntimeError, match="hr_upscaler"):
        client.txt2img(prompt="x", steps=1, width=64, height=64, enable_hr=True, hr_upscaler="nothing")


def test_png_info_of_a_plain_picture(client) -> None:
    """A picture that says nothing has empty info, not an error."""
    found = client.png_info(Image.new("RGB", (8, 8)))
    assert (found.info, found.parameters) == ("", {})
