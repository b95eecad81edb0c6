"""A1111's own HTTP tests, of release 1.10: the same requests, and what they are held to.

Its suite (`test_txt2img.py`, `test_img2img.py`, `test_utils.py` there) sends these and asks for 200. Those of
the upscalers are in `test_a1111s_extras.py`.
"""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image, ImageDraw

from tests.studio.api.answers import sent

DRAWN = {
    "batch_size": 1, "cfg_scale": 7, "eta": 0, "height": 64, "n_iter": 1, "negative_prompt": "",
    "prompt": "example prompt", "restore_faces": False, "s_churn": 0, "s_noise": 1, "s_tmax": 0, "s_tmin": 0,
    "sampler_index": "Euler a", "seed": -1, "seed_resize_from_h": -1, "seed_resize_from_w": -1, "steps": 3,
    "styles": [], "subseed": -1, "subseed_strength": 0, "tiling": False, "width": 64,
}  # fmt: skip
FROM_WORDS = {
    **DRAWN, "denoising_strength": 0, "enable_hr": False, "firstphase_height": 0, "firstphase_width": 0,
}  # fmt: skip
FROM_A_PICTURE = {
    **DRAWN, "denoising_strength": 0.75, "include_init_images": False, "inpaint_full_res": False,
    "inpaint_full_res_padding": 0, "inpainting_fill": 0, "inpainting_mask_invert": False, "mask": None,
    "mask_blur": 4, "override_settings": {}, "resize_mode": 0,
}  # fmt: skip


def picture() -> str:
    """Something to draw over, larger than what is asked for."""
    image = Image.new("RGB", (96, 96), "#3060a0")
    ImageDraw.Draw(image).ellipse((24, 24, 72, 72), fill="#f0c040")
    return "data:image/png;base64," + sent(image)


def mask() -> str:
    """White in its middle."""
    image = Image.new("L", (96, 96), 0)
    image.paste(255, (32, 32, 64, 64))
    return "data:image/png;base64," + sent(image)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="simple"),
        pytest.param({"negative_prompt": "example negative prompt"}, id="negative prompt"),
        pytest.param(
            {"prompt": "((emphasis)), (emphasis1:1.1), [to:1], [from::2], [from:to:0.3], [alt|alt1]"},
            id="complex prompt",
        ),
        pytest.param({"height": 128}, id="not square"),
        pytest.param({"enable_hr": True}, id="hires fix"),
        pytest.param({"tiling": True}, id="tiling"),
        pytest.param({"restore_faces": True}, id="restore faces"),
        *(pytest.param({"sampler_index": name}, id=name) for name in ("PLMS", "DDIM", "UniPC")),
        pytest.param({"n_iter": 2}, id="batches"),
        pytest.param({"batch_size": 2}, id="batch"),
    ],
)
def test_txt2img(ada, fields) -> None:
    """Twelve requests for pictures from words; each is drawn."""
    answer = ada.post("/sdapi/v1/txt2img", json={**FROM_WORDS, **fields})
    assert answer.status_code == 200, answer.text[:500]
    assert len(answer.json()["images"]) == fields.get("n_iter", 1) * fields.get("batch_size", 1)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="simple"),
        pytest.param({"mask": "M"}, id="masked"),
        pytest.param({"mask": "M", "inpainting_mask_invert": True}, id="inverted mask"),
        pytest.param({"script_name": "sd upscale", "script_args": ["", 8, "Lanczos", 2.0]}, id="sd upscale"),
    ],
)
def test_img2img(ada, fields) -> None:
    """Four requests for pictures from a picture."""
    fields = {key: mask() if value == "M" else value for key, value in fields.items()}
    answer = ada.post("/sdapi/v1/img2img", json={**FROM_A_PICTURE, "init_images": [picture()], **fields})
    assert answer.status_code == 200, answer.text[:500]
    assert len(answer.json()["images"]) == 1


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            {
                "resize_mode": 0, "show_extras_results": True, "gfpgan_visibility": 0,
                "codeformer_visibility": 0, "codeformer_weight": 0, "upscaling_resize": 2,
                "upscaling_resize_w": 128, "upscaling_resize_h": 128, "upscaling_crop": True,
                "upscaler_1": "Lanczos", "upscaler_2": "None", "extras_upscaler_2_visibility": 0,
            },
            id="upscaling",
        ),
        pytest.param({}, id="png info"),
        pytest.param({"model": "clip"}, id="interrogate"),
    ],
)  # fmt: skip
def test_extras(ada, fields) -> None:
    """Three requests by A1111's names for them; there as well all of them go to this one route."""
    answer = ada.post("/sdapi/v1/extra-single-image", json={**fields, "image": picture()})
    assert answer.status_code == 200, answer.text[:500]
    assert answer.json()["image"]


def test_options_are_kept(ada) -> None:
    """An option that was changed is read back changed."""

    def read() -> Any:
        answer = ada.get("/sdapi/v1/options")
        assert answer.status_code == 200
        return answer.json()["send_seed"]

    before = read()
    assert ada.post("/sdapi/v1/options", json={"send_seed": not before}).status_code == 200
    assert read() == (not before)
    ada.post("/sdapi/v1/options", json={"send_seed": before})


@pytest.mark.parametrize(
    "path",
    [
        "cmd-flags", "samplers", "upscalers", "sd-models", "hypernetworks", "face-restorers",
        "realesrgan-models", "prompt-styles", "embeddings",
    ],
)  # fmt: skip
def test_lists(ada, path) -> None:
    """Nine lists answer."""
    assert ada.get(f"/sdapi/v1/{path}").status_code == 200
