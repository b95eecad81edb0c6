"""A1111's answers have A1111's keys and no others: programs make classes of them, and some take no key that
they do not know. aaa1111 0.1.0.dev7 (PyPI) calls `ProgressResponse(**answer)`."""

from __future__ import annotations

import base64

import pytest
from PIL import Image

from easel.studio.png import encode

PICTURE = base64.b64encode(encode(Image.new("RGB", (64, 64), "#204080"))).decode()
SMALL = {"prompt": "a star", "steps": 1, "width": 64, "height": 64}
PROGRESS = "progress eta_relative state current_image textinfo"
STATE = (
    "skipped interrupted stopping_generation job job_count job_timestamp job_no sampling_step sampling_steps"
)
# Of release 1.10, and of ControlNet's extension. Lists stand for what they hold.
GET = {
    "/sdapi/v1/progress": PROGRESS,
    "/sdapi/v1/memory": "ram cuda",
    "/sdapi/v1/samplers": "name aliases options",
    "/sdapi/v1/schedulers": "name label aliases default_rho need_inner_model",
    "/sdapi/v1/upscalers": "name model_name model_path model_url scale",
    "/sdapi/v1/latent-upscale-modes": "name",
    "/sdapi/v1/sd-models": "title model_name hash sha256 filename config",
    "/sdapi/v1/embeddings": "loaded skipped",
    "/sdapi/v1/scripts": "txt2img img2img",
    "/sdapi/v1/script-info": "name is_alwayson is_img2img args",
    "/controlnet/version": "version",
    "/controlnet/model_list": "model_list",
    "/controlnet/module_list": "module_list module_detail",
    "/controlnet/control_types": "control_types",
    "/controlnet/settings": "control_net_unit_count",
}
POST = {
    "/sdapi/v1/txt2img": (SMALL, "images parameters info"),
    "/sdapi/v1/img2img": ({**SMALL, "init_images": [PICTURE]}, "images parameters info"),
    "/sdapi/v1/extra-single-image": ({"image": PICTURE, "upscaler_1": "Nearest"}, "html_info image"),
    "/sdapi/v1/extra-batch-images": (
        {"imageList": [{"data": PICTURE, "name": "a.png"}], "upscaler_1": "Nearest"},
        "html_info images",
    ),
    "/sdapi/v1/png-info": ({"image": PICTURE}, "info items parameters"),
    "/sdapi/v1/interrogate": ({"image": PICTURE}, "caption"),
    "/internal/progress": (
        {"id_task": "none"},
        "active queued completed progress eta live_preview id_live_preview textinfo",
    ),
    "/controlnet/detect": (
        {"controlnet_module": "canny", "controlnet_input_images": [PICTURE]},
        "images info",
    ),
}


@pytest.mark.parametrize("path", GET)
def test_what_is_asked_for(ada, path) -> None:
    """Lists and states."""
    answer = ada.get(path).json()
    for one in answer if isinstance(answer, list) else [answer]:
        assert set(one) == set(GET[path].split())


@pytest.mark.usefixtures("interrogator_files")
@pytest.mark.parametrize("path", POST)
def test_what_is_made(ada, path) -> None:
    """Pictures and words."""
    body, keys = POST[path]
    answer = ada.post(path, json=body)
    assert answer.status_code == 200, answer.text[:300]
    assert set(answer.json()) == set(keys.split())


def test_a_state(ada) -> None:
    """What is within the state of a job, and an argument of a script."""
    assert set(ada.get("/sdapi/v1/progress").json()["state"]) == set(STATE.split())
    for script in ada.get("/sdapi/v1/script-info").json():
        for argument in script["args"]:
            assert set(argument) == {"label", "value", "minimum", "maximum", "step", "choices"}
