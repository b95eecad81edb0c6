"""A1111's own HTTP tests of the upscalers, of release 1.10 (`test/test_extras.py` there)."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.studio.api.answers import sent

PICTURE = sent(Image.new("RGB", (64, 64), "#204080"))
ROUTE = "/sdapi/v1/extra-single-image"


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
    if ROUTE not in ada.get("/openapi.json").json()["paths"]:
        pytest.skip("there are no upscalers here yet")
    answer = ada.post(ROUTE, json={**fields, "image": "data:image/png;base64," + PICTURE})
    assert answer.status_code == 200, answer.text[:500]
    assert answer.json()["image"]
