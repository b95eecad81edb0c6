"""One picture at a time: through door and API, against the plain pipeline's call, turn by turn."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx

from bench.plain import Plain
from bench.running import Running
from bench.table import comparison

SIZES = {"native size, 128x128": (128, 16), "512x512": (512, 10)}


def request(prompt: str, side: int, seed: int) -> dict[str, object]:
    """The same picture for both sides: Euler, 20 steps, CFG scale 7."""
    return {
        "prompt": prompt,
        "negative_prompt": "",
        "width": side,
        "height": side,
        "steps": 20,
        "cfg_scale": 7.0,
        "seed": seed,
        "sampler_name": "Euler",
        "scheduler": "SGM Uniform",
    }


def draw(client: httpx.Client, body: dict[str, object]) -> float:
    """Seconds from sending a request at the door to having its picture."""
    began = time.perf_counter()
    answer = client.post("/sdapi/v1/txt2img", json=body)
    answer.raise_for_status()
    assert len(answer.json()["images"]) == 1
    return time.perf_counter() - began


def rows(easel: Running, plain: Plain) -> Iterator[list[str]]:
    """A row for each size: ours, theirs, the median of the pairs' ratios (at most 1.05 is the promise)."""
    with easel.client() as client:
        for name, (side, rounds) in SIZES.items():
            pairs = []
            for number in range(rounds + 1):
                body = request("a small red circle on a blue background", side, number)
                if number % 2:  # in turns, as what comes first on a machine that has rested is faster
                    mine, other = draw(client, body), plain.draw(body)
                else:
                    other, mine = plain.draw(body), draw(client, body)
                if number:  # the first warms both up
                    pairs.append((mine, other))
            yield comparison(f"one picture, {name}, 20 steps", pairs, "≤ 1.05")
