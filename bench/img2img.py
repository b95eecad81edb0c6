"""Pictures from pictures: through door and API, against plain diffusers doing the same, turn by turn."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
from PIL import Image, ImageDraw

from bench.peer import encoded
from bench.plain import Plain
from bench.running import Running
from bench.table import comparison
from bench.txt2img import request

SIDES = {128: 24, 256: 8}
"""Pixels of a side, and the pairs that are drawn of each."""
# UNet calls of A1111's img2img at this strength and 20 steps; diffusers makes as many at 0.8.
STRENGTH, PEER_STRENGTH = 0.75, 0.8


def rows(easel: Running, plain: Plain) -> Iterator[list[str]]:
    """A row for each way and size: ours, theirs, the median of the pairs' ratios (≤ 1.05 is promised)."""
    with easel.client() as client:
        for side, rounds in SIDES.items():
            for name, route, more in _ways(side):
                pairs = []
                for number in range(rounds + 1):
                    body = {**request("a small green circle on a blue background", side, number), **more}
                    asked = {**body, "strength": 0.5 if route == "txt2img" else PEER_STRENGTH}
                    if number % 2:  # in turns, as what comes first on a machine that has rested is faster
                        mine, other = _draw(client, route, body), plain.draw(asked)
                    else:
                        other, mine = plain.draw(asked), _draw(client, route, body)
                    if number:  # the first warms both up
                        pairs.append((mine, other))
                yield comparison(f"one {name}, {side}x{side}, 20 steps", pairs, "≤ 1.05")


def _ways(side: int) -> Iterator[tuple[str, str, dict[str, object]]]:
    """What is measured at a size: its name, its route, and the fields beside a txt2img's."""
    image, mask = (encoded(one) for one in _pictures(side))
    over = {"init_images": [image], "denoising_strength": STRENGTH}
    inpaint = {**over, "mask": mask, "inpainting_fill": 1, "inpaint_full_res": False}
    hires = {
        "enable_hr": True, "hr_scale": 2, "hr_upscaler": "Lanczos", "denoising_strength": 0.5,
    }  # fmt: skip
    yield "img2img", "img2img", over
    yield "inpaint", "img2img", inpaint
    yield f"hires fix to {2 * side}x{2 * side}", "txt2img", hires


def _draw(client: httpx.Client, route: str, body: dict[str, object]) -> float:
    began = time.perf_counter()
    answer = client.post(f"/sdapi/v1/{route}", json=body)
    answer.raise_for_status()
    assert len(answer.json()["images"]) == 1
    return time.perf_counter() - began


def _pictures(side: int) -> tuple[Image.Image, Image.Image]:
    """A red circle on blue, and a mask of its left half."""
    picture = Image.new("RGB", (side, side), (36, 88, 222))
    ImageDraw.Draw(picture).ellipse((side // 3, side // 3, side * 2 // 3, side * 2 // 3), fill=(222, 36, 40))
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).rectangle((0, 0, side // 2, side), fill=255)
    return picture, mask
