"""Ten thousand requests with one or more fields that are nonsense: drawn or refused, and never a 500."""

from __future__ import annotations

import base64
import json
import random
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from easel.studio.api.openai.edit_form import EditRequest
from easel.studio.api.openai.image_request import ImageRequest
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.options_table import OPTIONS
from easel.studio.api.requests.text_to_image_request import TextToImageRequest
from tests.studio.api.answers import sent

PICTURE = sent(Image.new("RGB", (64, 64), "#204080"))
FILE = base64.b64decode(PICTURE)
TINY: dict[str, Any] = {"prompt": "x", "steps": 1, "width": 64, "height": 64, "send_images": False}
# Of each kind that a field may be, what is at its borders, beyond them, and of another kind.
NONSENSE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7.5, -0.0, 1e-300, 1e300, -1e300, 2**31, 2**63 - 1, 2**63, 2**64,
    -(2**63), 10**400, "", " ", "0", "-1", "1e9", "NaN", "inf", "true", "None", "null", "undefined",
    "x" * 5000, "\0", "\ud800", "é" * 300, "🎨", "\u202e", "../../etc/passwd", "C:\\x", "<script>",
    "%s%n{0}${x}", "'; DROP TABLE x; --", "<lora:x:nan>", "((((", "[a:b:1e999]", "a AND b:-1",
    "{a|b}" * 50, "__x__", "data:image/png;base64,AAAA", "http://127.0.0.1/", "AAAA", [], [None], [[]],
    ["x"], [1, 2, 3], [PICTURE], [PICTURE, "x"], ["x"] * 2000, {}, {"": ""}, {"x": None}, {"args": []},
    {"args": [True]}, {"args": {"x": 1}}, {"a": {"b": {"c": []}}},
)  # fmt: skip
SCRIPTS = (
    "x/y/z plot", "prompt matrix", "prompts from file or textbox", "loopback", "outpainting mk2",
    "poor man's outpainting", "sd upscale", "ADetailer", "ControlNet", "Sampler", "Seed", "Refiner",
    "Soft Inpainting", "Extra options",
)  # fmt: skip


# What would draw much before it is looked at: large pictures and many steps are other tests' matter.
COSTLY = {
    "steps", "width", "height", "n_iter", "batch_size", "hr_second_pass_steps", "hr_scale", "hr_resize_x",
    "hr_resize_y", "enable_hr", "send_images", "save_images", "script_name", "size", "n", "quality",
}  # fmt: skip


@cache
def taken(kind: Any, name: str) -> list[Any]:
    """What of the nonsense is of the field's kind: it is refused later, or drawn."""
    found = []
    for value in NONSENSE:
        try:
            kind(**{"prompt": "x", name: value})
        except ValidationError:
            continue
        found.append(value)
    return found


def bad(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A route and a request of it."""
    route, kind = chance.choice((
        ("/sdapi/v1/txt2img", TextToImageRequest), ("/sdapi/v1/img2img", ImageToImageRequest),
        ("/sdapi/v1/txt2img", TextToImageRequest), ("/v1/images/generations", ImageRequest),
        ("/v1/images/edits", EditRequest), ("/sdapi/v1/options", None), ("/sdapi/v1/png-info", None),
        ("/sdapi/v1/interrogate", None), ("/internal/progress", None),
    ))  # fmt: skip
    if kind is None:
        names = [*chance.sample(sorted(OPTIONS), 3), "image", "image", "model", "id_task", "id_live_preview"]
        return route, {name: chance.choice(NONSENSE) for name in chance.sample(names, 3)}
    body: dict[str, Any] = dict(TINY)
    if kind is ImageToImageRequest:
        body |= {"init_images": [PICTURE]}
    for name in chance.sample(sorted(kind.model_fields), chance.choice((1, 1, 2, 5))):
        value = chance.choice(taken(kind, name) if chance.random() < 0.8 else NONSENSE)
        if name in COSTLY and not isinstance(value, str | list | dict):
            value = chance.choice((0, -1, 10**9, 2.5, "x", [], None))
        body[name] = value
    match chance.randrange(8):
        case 0:
            overrides = chance.sample(sorted(OPTIONS), 2)
            body["override_settings"] = {name: chance.choice(NONSENSE) for name in overrides}
        case 1:
            body["alwayson_scripts"] = {chance.choice(SCRIPTS): {"args": chance.choices(NONSENSE, k=3)}}
        case 2:
            body["script_name"] = chance.choice(SCRIPTS)
            body["script_args"] = chance.choices(NONSENSE, k=chance.randrange(8))
        case 3:
            body["infotext"] = (
                f"x\nSteps: {chance.choice(NONSENSE)}, Size: 64x64, Sampler: {chance.choice(NONSENSE)}"
            )
    return route, body


def ask(client: Any, number: int) -> tuple[int, str]:
    """The answer's status, and what is wrong with it."""
    route, body = bad(random.Random(number))
    if route.endswith("/edits"):
        form = {key: str(value).encode("utf-8", "replace").decode() for key, value in body.items()}
        answer = client.post(route, data=form, files={"image": ("a.png", FILE)})
    else:
        answer = client.post(route, content=json.dumps(body))
    known = answer.status_code < 500
    return answer.status_code, "" if known else f"{number}: {route} {answer.status_code} {answer.text[:200]}"


def try_all(running, count: int) -> None:
    """None is a fault of the server's; some are drawn and some are not; the engine draws afterwards."""
    with running.ask("nonsense") as client, ThreadPoolExecutor(4) as crew:
        answers = list(crew.map(lambda number: ask(client, number), range(count)))
    assert [fault for _, fault in answers if fault] == []
    drawn = sum(status == 200 for status, _ in answers)
    assert count / 10 < drawn < count * 9 / 10
    assert running.draw("after").status_code == 200


def test_three_hundred_bad_inputs(running) -> None:
    """The first of them, in every run."""
    try_all(running, 300)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_ten_thousand_bad_inputs(running) -> None:
    """All of them."""
    try_all(running, 10_000)
