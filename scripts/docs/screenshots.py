"""The pictures of docs/pictures, taken anew: `make screenshots` starts an Easel and photographs its pages.

Needs Chromium at /usr/bin/chromium and what requirements/dev.txt names.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import click

from scripts.local.temporary import temporary_easel
from scripts.settings import ROOT

PICTURES = ROOT / "docs" / "pictures"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# One a colour, so that the gallery shows what the starter can do; the first is the large picture.
PROMPTS = (
    "a large blue triangle on a yellow background",
    "a large red circle on black",
    "two green squares on orange",
    "a red circle on a blue background",
)


@click.command()
def main() -> None:
    """Take every picture."""
    from playwright.sync_api import sync_playwright

    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        temporary_easel(Path(home)) as easel,
        sync_playwright() as playwright,
    ):
        status = easel.status
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        studio = status["endpoints"][0]
        for name, size in (("studio", DESKTOP), ("studio-phone", PHONE)):
            context = browser.new_context(viewport=size, color_scheme="light")  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(studio["link"])
            page.locator("#generate").wait_for()
            for prompt in reversed(PROMPTS if name == "studio" else PROMPTS[:1]):
                _draw(page, prompt)
            page.evaluate("window.scrollTo(0, 0)")
            page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
            context.close()
        for name, address in (("console", status["console"]["link"]), ("sign-in", studio["url"])):
            page = browser.new_page(viewport=DESKTOP)  # type: ignore[arg-type]
            page.goto(address)
            page.wait_for_timeout(1500)
            page.screenshot(path=PICTURES / f"{name}.png")
            page.close()
        browser.close()
    for picture in sorted(PICTURES.glob("*.png")):
        click.echo(picture.relative_to(ROOT))


def _draw(page: Any, prompt: str) -> None:
    page.locator("#prompt textarea").fill(prompt)
    page.locator("#seed input").fill("5")
    page.locator("#generate").click()
    # Not `wait_for_function`: it makes a function of a text in the page, which its policy forbids.
    text = page.locator("#parameters textarea")
    until = time.monotonic() + 120
    while not text.input_value().startswith(prompt) and time.monotonic() < until:
        page.wait_for_timeout(200)
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
