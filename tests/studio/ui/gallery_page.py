"""What tests of the gallery in the browser share."""

from __future__ import annotations

from datetime import date, timedelta

from PIL import Image
from playwright.sync_api import Locator, Page, expect

from easel.studio.png import encode

SIDES = ((64, 64), (64, 96), (96, 64))


def put(running, owner: str, day: int, count: int, prompt: str = "a red fox") -> None:
    """As if `count` pictures had been drawn so many days ago."""
    folder = running.studio.outputs.owned(owner) / (date.today() - timedelta(days=day)).isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    there = len(list(folder.glob("*.png")))
    for number in range(there + 1, there + count + 1):
        width, height = SIDES[number % 3]
        colour = (number * 37 % 256, number * 91 % 256, number * 53 % 256)
        said = f"Steps: 2, Sampler: Euler, CFG scale: 7, Seed: {number}, Size: {width}x{height}"
        text = f"{prompt} {number}\nNegative prompt: blurry\n{said}, Model: easel-starter"
        picture = encode(Image.new("RGB", (width, height), colour), text)
        (folder / f"{number:05}-{number}.png").write_bytes(picture)


def tiles(page: Page) -> Locator:
    """The pictures that are in the page."""
    return page.locator("easel-grid .tile")


def counted(page: Page, words: str) -> None:
    """Wait until the gallery says how many there are."""
    expect(page.locator(".tools .count")).to_have_text(words)


def focused(page: Page) -> str:
    """The picture that has the focus, or what else has it."""
    return page.evaluate(
        "document.activeElement.closest('[data-id]')?.dataset.id ?? document.activeElement.tagName"
    )
