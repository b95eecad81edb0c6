"""How tests work with the modes of Create: choose one, give it a source, paint, draw, and look at pixels."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.studio.ui.conftest import generate_button


def choose(page: Page, name: str) -> None:
    """Go to a mode."""
    page.locator(f".modes input[value={name}]").check(force=True)
    expect(page.locator(f"form[data-mode={name}]")).to_be_visible()


def begin(page: Page, mode: str, source: Path, steps: int = 2) -> None:
    """A mode, a source and few steps."""
    choose(page, mode)
    page.locator(".source input[type=file]").set_input_files(source)
    expect(page.locator(".source b, .source .source-list img").first).to_be_visible()
    if page.locator("easel-advanced").count():
        quick(page, steps)


def quick(page: Page, steps: int = 2) -> None:
    """So few steps that a picture takes no time."""
    page.locator("details.advanced > summary").click()
    page.get_by_label("Steps", exact=True).fill(str(steps))


def drawn(page: Page, route: str = "img2img") -> tuple[dict, list[np.ndarray]]:
    """Press Generate: what was sent, and the pictures that came, newest last."""
    with page.expect_response(re.compile(f"/sdapi/v1/{route}$")) as answer:
        generate_button(page).click()
    assert answer.value.status == 202, answer.value.text()
    sent, id = json.loads(answer.value.request.post_data), answer.value.json()["id"]
    ticket: dict = {}
    done = "(id) => fetch(`jobs/${id}`).then((one) => one.json())"
    for _ in range(600):
        ticket = page.evaluate(done, id)
        if ticket["state"] in ("done", "failed", "cancelled"):
            break
        page.wait_for_timeout(100)
    assert ticket["state"] == "done", ticket["error"]
    files = [page.request.get(page.url.split("#")[0] + one["url"]).body() for one in ticket["results"]]
    return sent, [pixels(file) for file in files]


def pixels(file: bytes | str) -> np.ndarray:
    """Of a file, or of a data: URI."""
    if isinstance(file, str):
        file = base64.b64decode(file.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int)


def stroke(page: Page, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Paint a line over the canvas by the mouse; points are shares of its sides."""
    box = page.locator(".painter canvas").bounding_box()
    assert box

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return box["x"] + box["width"] * point[0], box["y"] + box["height"] * point[1]

    page.mouse.move(*at(begin))
    page.mouse.down()
    page.mouse.move(*at(end), steps=6)
    page.mouse.up()


def brush(page: Page, size: int) -> None:
    """A brush of so many pixels."""
    page.get_by_label("Brush size", exact=False).evaluate(
        "(one, size) => { one.value = size; one.dispatchEvent(new Event('input', { bubbles: true })); }", size
    )
