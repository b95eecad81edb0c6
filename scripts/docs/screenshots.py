"""The pictures of docs/pictures, taken anew: `make screenshots` starts an Easel and photographs its pages.

`python -m scripts.docs.screenshots --all FOLDER` takes each place at 390, 1280 and 1920 pixels in both looks
instead, to be looked at; in another language by `--language de`. Needs Chromium at /usr/bin/chromium and what
requirements/dev.txt names.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from scripts.local.temporary import temporary_easel
from scripts.settings import ROOT

PICTURES = ROOT / "docs" / "pictures"
SIZES = {"phone": (390, 844), "desktop": (1280, 800), "wide": (1920, 1080)}
LOOKS = ("light", "dark")
# One a colour, so that strip and gallery show what the starter can do; the last is the large picture.
PROMPTS = (
    "a red circle on a blue background",
    "two green squares on orange",
    "a large red circle on black",
    "a purple star on white",
    "a yellow ring on green",
    "a large blue triangle on a yellow background",
)
COLOURS = 256


@click.command()
@click.option(
    "--all", "folder", type=click.Path(path_type=Path), help="Every place, size and look, into FOLDER."
)
@click.option("--language", default="en", help="What the browser asks for, with --all.")
def main(folder: Path | None, language: str) -> None:
    """Take every picture."""
    from playwright.sync_api import sync_playwright

    into = folder or PICTURES
    into.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        temporary_easel(Path(home)) as easel,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        studio, console = easel.status["endpoints"][0], easel.status["console"]["link"]
        # One visitor for all of them: the same cookie, so the same pictures.
        visitor = _visitor(browser, studio["link"])
        if folder is None:
            _pages_of_the_docs(browser, studio["url"], visitor)
            with _page(browser, "desktop", "light") as page:
                _taken(page, console, "console")
            with _page(browser, "desktop", "light") as page:
                _taken(page, studio["url"], "sign-in")
        else:
            for size in SIZES:
                for look in LOOKS:
                    with _page(browser, size, look, visitor, language) as page:
                        for place in ("create", "gallery", "models"):
                            _open(page, studio["url"], place)
                            _save(page, into / f"{place}-{size}-{look}.png")
        browser.close()
    for picture in sorted(into.glob("*.png")):
        click.echo(picture)


def _visitor(browser: Any, link: str) -> Any:
    """What the browser keeps of somebody who came by a link and drew each of `PROMPTS`."""
    context = browser.new_context(viewport=_viewport("desktop"), locale="en")
    page = context.new_page()
    page.goto(link)
    for prompt in PROMPTS:
        page.get_by_label("Prompt", exact=True).fill(prompt)
        page.get_by_label("Seed", exact=True).fill("5")
        page.locator(".generate button").click()
        page.locator(f'.view img[alt^="{prompt}"]').wait_for(timeout=120_000)
    page.locator(".ticket").wait_for(state="detached")
    page.wait_for_timeout(1000)  # what is typed is written twice a second
    kept = context.storage_state()
    context.close()
    return kept


def _pages_of_the_docs(browser: Any, url: str, visitor: Any) -> None:
    with _page(browser, "desktop", "light", visitor) as page:
        for place, name in (("create", "studio"), ("gallery", "gallery"), ("models", "models")):
            _open(page, url, place)
            _save(page, PICTURES / f"{name}.png")
        _open(page, url, "create")
        _paint_over(page)
        _save(page, PICTURES / "inpaint.png")
    with _page(browser, "desktop", "dark", visitor) as page:
        _open(page, url, "create")
        _save(page, PICTURES / "studio-dark.png")
    with _page(browser, "phone", "light", visitor) as page:
        _open(page, url, "create")
        _save(page, PICTURES / "studio-phone.png")


def _paint_over(page: Any) -> None:
    """Inpaint, with the shown picture as source and a stroke over its middle."""
    page.get_by_role("button", name="Inpaint", exact=True).last.click()
    canvas = page.locator(".stage canvas").last
    canvas.wait_for()
    page.wait_for_timeout(1000)
    canvas.focus()
    for _ in range(4):
        page.keyboard.press("[")
    canvas.blur()
    box = canvas.bounding_box()
    middle, across = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle - 90, across)
    page.mouse.down()
    page.mouse.move(middle + 90, across + 20, steps=12)
    page.mouse.up()
    page.mouse.move(5, 5)


@contextmanager
def _page(browser: Any, size: str, look: str, visitor: Any = None, language: str = "en") -> Iterator[Any]:
    context = browser.new_context(
        viewport=_viewport(size),
        color_scheme=look,
        storage_state=visitor,
        locale=language,
        has_touch=size == "phone",
    )
    yield context.new_page()
    context.close()


def _viewport(size: str) -> dict[str, int]:
    width, height = SIZES[size]
    return {"width": width, "height": height}


def _open(page: Any, url: str, place: str) -> None:
    page.goto(f"{url}#{place}")
    page.locator(f".place[data-place={place}]").wait_for()
    page.locator("main[aria-busy=false]").wait_for()
    page.wait_for_load_state("load")
    page.wait_for_timeout(1500)


def _taken(page: Any, address: str, name: str) -> None:
    page.goto(address)
    page.wait_for_timeout(1500)
    _save(page, PICTURES / f"{name}.png")


def _save(page: Any, path: Path) -> None:
    """As a PNG with a palette of its own colours: half the size, and no eye finds the difference."""
    from PIL import Image

    page.screenshot(path=path)
    with Image.open(path) as picture:
        # Without the k-means, median cut spends the palette on the large areas and greys the small ones.
        small = picture.convert("RGB").quantize(COLOURS, kmeans=3, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main()
