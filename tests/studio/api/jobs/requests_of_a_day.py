"""Small requests of all kinds, as people on one endpoint send them, each with pixels of its own."""

from __future__ import annotations

import base64
import io
from typing import Any, NamedTuple

from PIL import Image

TEXT, IMAGE, EXTRA = "/sdapi/v1/txt2img", "/sdapi/v1/img2img", "/sdapi/v1/extra-single-image"
_SMALL = {"prompt": "a red circle on blue", "width": 64, "height": 64, "steps": 8, "exact": True}


class KindOfRequest(NamedTuple):
    """Where it is sent, and its body."""

    name: str
    route: str
    body: dict[str, Any]


def _picture(number: int) -> str:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).rotate(number * 7).convert("RGB").save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


KINDS = (
    KindOfRequest("Euler a, 128x128", TEXT, {"sampler_name": "Euler a", "width": 128, "height": 128}),
    KindOfRequest("DPM++ 2M SDE, prompt that changes", TEXT, {
        "sampler_name": "DPM++ 2M SDE", "prompt": "a [red:green:0.5] circle AND a square", "steps": 12,
    }),
    KindOfRequest("two and two pictures", TEXT, {"n_iter": 2, "batch_size": 2, "steps": 6}),
    KindOfRequest("hires fix", TEXT, {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6}),
    KindOfRequest("cache", TEXT, {"cache": "deep", "steps": 12, "width": 128, "height": 128}),
    KindOfRequest("UniPC, variation", TEXT, {
        "sampler_name": "UniPC", "subseed": 11, "subseed_strength": 0.3, "width": 128, "height": 96,
    }),
    KindOfRequest("img2img", IMAGE, {"denoising_strength": 0.7, "steps": 12}),
    KindOfRequest("inpainting", IMAGE, {"denoising_strength": 0.9, "inpainting_fill": 1}),
    KindOfRequest("prompt matrix", TEXT, {
        "prompt": "a yellow star|on purple", "script_name": "prompt matrix", "steps": 4,
        "script_args": [True, True, "positive", "comma", 0],
    }),
    KindOfRequest("not exact, Heun", TEXT, {"exact": False, "sampler_name": "Heun", "width": 128}),
    KindOfRequest("enlarged", EXTRA, {"upscaling_resize": 2, "upscaler_1": "Lanczos"}),
)  # fmt: skip


def request_of_a_day(number: int) -> KindOfRequest:
    """The kinds in turns; the seed, or the picture, is the number's own."""
    kind = KINDS[number % len(KINDS)]
    if kind.route == EXTRA:
        return kind._replace(body={**kind.body, "image": _picture(number)})
    body = {**_SMALL, **kind.body, "seed": 1000 + number}
    if kind.route == IMAGE:
        body["init_images"] = [_picture(number)]
    if kind.name == "inpainting":
        body["mask"] = _mask()
    return kind._replace(body=body)


def _mask() -> str:
    out = io.BytesIO()
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    mask.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()
