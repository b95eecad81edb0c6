"""Chromium in front of the running studio, one person for each context."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from easel.studio.engine import shared_call

# A busy machine is no fault of the page.
expect.set_options(timeout=60_000)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
# axe-core by Deque Systems, Mozilla Public License 2.0; for tests only, no part of what is shipped.
AXE = Path(__file__).with_name("axe.min.js")
ABORTED = "net::ERR_ABORTED"
# Of no other test's pictures: how long a call takes is remembered by size.
LONG_SIDE = 72
BLUE, YELLOW = (40, 120, 200), (240, 200, 40)
# What moved without anybody's doing: the sum that browsers call layout shift.
SHIFTS = """
window.shifted = 0;
window.shiftedBy = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) {
    if (one.hadRecentInput) continue;
    window.shifted += one.value;
    const moved = one.sources.map(({ node }) => `${node?.nodeName} ${node?.className}`);
    window.shiftedBy.push(`${one.value.toFixed(3)} ${moved}`);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("there is no chromium on PATH")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


def until(page: Page, question: str, arg: object = None, seconds: float = 60) -> None:
    """Wait for an expression of the page to be true.

    Playwright's own `wait_for_function` makes a function of a text in the page, which its policy forbids.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(question, arg):
        assert time.monotonic() < end, question
        page.wait_for_timeout(50)


def generate_button(page: Page):
    """The button that draws."""
    return page.locator(".generate button")


def findings(page: Page) -> list[str]:
    """What axe finds on the page as it is, of any weight: its rule, and where."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then((all) => all.violations)")
    return [
        f"{one['id']} ({one['impact']}): {', '.join(str(node['target'][0]) for node in one['nodes'][:5])}"
        for one in found
    ]


def ask_small(page: Page, prompt: str = "a red circle on blue", steps: int = 2, side: int = 64) -> None:
    """Fill the fields for a picture that is drawn in no time."""
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_role("button", name="Custom", exact=True).click()
    page.get_by_label("Width", exact=True).fill(str(side))
    page.get_by_label("Height", exact=True).fill(str(side))
    advanced = page.locator("details.advanced")
    if not advanced.evaluate("(one) => one.open"):
        advanced.locator("summary").first.click()
    page.get_by_label("Steps", exact=True).fill(str(steps))


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `ask_long` asks for waits before each of its steps: it is there long enough, on any machine, and
    takes nothing from the page. A large picture took a core from it."""
    real = shared_call.call_unet

    def waiting(unet: Any, calls: list[Any], *more: Any) -> Any:
        if calls[0].latents.shape[-1] * 8 == LONG_SIDE:
            time.sleep(0.5)
        return real(unet, calls, *more)

    monkeypatch.setattr(shared_call, "call_unet", waiting)


def ask_long(page: Page, prompt: str = "a red circle on blue") -> None:
    """Fill the fields for a picture that is looked at in the middle; with `slowly`."""
    ask_small(page, prompt, steps=150, side=LONG_SIDE)


def why(page: Page) -> str:
    """What there is to know of a page that its studio did not fill."""
    words = page.locator("main").inner_text()[:500]
    return f"not filled: {words=}, {page.faults=}, {page.lost=}, asked last: {page.asked[-5:]}"


@pytest.fixture
def visit(running, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open the page as somebody; everything that went wrong in the browser is in `page.faults`.

    `beside` is a page of theirs in whose browser another tab is opened; `at` is another address of it;
    with `clock` the test moves the page's time.
    """
    contexts = []

    def open_page(
        owner: str,
        width: int = 1280,
        height: int = 800,
        scheme: str = "light",
        path: str = "",
        beside: Page | None = None,
        at: str = "",
        clock: bool = False,
    ) -> Page:
        context = beside.context if beside else browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            locale="en",
            has_touch=width < 600,
            extra_http_headers={"X-Easel-User": owner},
        )  # fmt: skip
        if not beside:
            contexts.append(context)
            context.add_init_script(SHIFTS)
        page = context.new_page()
        page.set_default_timeout(60_000)
        if clock:
            page.clock.install()
        page.faults = []
        page.asked, page.lost = [], []
        page.on("console", lambda one: page.faults.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda one: page.faults.append(str(one)))
        page.on("request", lambda one: page.asked.append(one.url))
        page.on(
            "response", lambda one: page.lost.append(f"{one.status} {one.url}") if one.status > 399 else None
        )
        # Aborted is what the browser took back itself: a reload ends the stream, and a picture on its way.
        page.on(
            "requestfailed",
            lambda one: page.lost.append(f"{one.failure} {one.url}") if one.failure != ABORTED else None,
        )
        page.goto(f"{at or running.url}/{path}")
        try:
            expect(page.locator("main")).to_have_attribute("aria-busy", "false")
            if not path:
                expect(generate_button(page)).to_be_enabled()
        except AssertionError as error:
            raise AssertionError(why(page)) from error
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture whose left half is blue, and whose right half is yellow: 96 x 64."""
    picture = Image.new("RGB", (96, 64), BLUE)
    picture.paste(YELLOW, (48, 0, 96, 64))
    path = tmp_path_factory.mktemp("sources") / "halves.png"
    picture.save(path)
    return path
