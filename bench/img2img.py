"""Pictures from pictures: through door and API, against plain diffusers doing the same, turn by turn."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator

import httpx
from PIL import Image, ImageDraw

from bench.plain import Plain
from bench.running import Running
from bench.table import comparison
from bench.txt2img import request

ROUNDS = 16
SIDE = 128
# UNet calls of A1111's img2img at this strength and 20 steps; diffusers makes as many at 0.8.
STRENGTH, PEER_STRENGTH = 0.75, 0.8


def rows(easel: Running, plain: Plain) -> Iterator[list[str]]:
    """A row for each way: ours, theirs, the ratio of medians (at most 1.05 is the promise)."""
    image, mask = (_encoded(one) for one in _pictures())
    over = {"init_images": [image], "denoising_strength": STRENGTH}
    inpaint = {**over, "mask": mask, "inpainting_fill": 1, "inpaint_full_res": False}
    hires = {
        "enable_hr": True, "hr_scale": 2, "hr_upscaler": "Lanczos", "denoising_strength": 0.5,
    }  # fmt: skip
    ways = (
        ("img2img", "img2img", over),
        ("inpaint", "img2img", inpaint),
        (f"hires fix to {2 * SIDE}x{2 * SIDE}", "txt2img", hires),
    )
    with easel.client() as client:
        for name, route, more in ways:
            pairs = []
            for number in range(ROUNDS + 1):
                body = {**request("a small green circle on a blue background", SIDE, number), **more}
                asked = {**body, "strength": 0.5 if route == "txt2img" else PEER_STRENGTH}
                if number % 2:  # in turns, as what comes first on a machine that has rested is faster
                    mine, other = _draw(client, route, body), plain.draw(asked)
                else:
                    other, mine = plain.draw(asked), _draw(client, route, body)
                if number:  # the first warms both up
                    pairs.append((mine, other))
            yield comparison(f"one {name}, {SIDE}x{SIDE}, 20 steps", pairs, "≤ 1.05")


def _draw(client: httpx.Client, route: str, body: dict[str, object]) -> float:
    began = time.perf_counter()
    answer = client.post(f"/sdapi/v1/{route}", json=body)
    answer.raise_for_status()
    assert len(answer.json()["images"]) == 1
    return time.perf_counter() - began


def _pictures() -> tuple[Image.Image, Image.Image]:
    """A red circle on blue, and a mask of its left half."""
    picture = Image.new("RGB", (SIDE, SIDE), (36, 88, 222))
    ImageDraw.Draw(picture).ellipse((40, 40, 88, 88), fill=(222, 36, 40))
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).rectangle((0, 0, SIDE // 2, SIDE), fill=255)
    return picture, mask


def _encoded(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()
