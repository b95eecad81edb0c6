"""Chromium in front of the running studio, one person for each context."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

# A busy machine is no fault of the page.
expect.set_options(timeout=60_000)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
# A small picture may begin and end between two looks of a test: the page notes what its stage showed.
NOTE = """() => {
  const stage = document.querySelector("#stage");
  const keep = () => (window.shownOnStage ??= []).push(stage.innerHTML);
  new MutationObserver(keep).observe(stage, { childList: true, subtree: true, attributes: true });
}"""


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


def why(page: Page) -> str:
    """What there is to know of a page that its studio did not fill."""
    stage, toasts = page.locator("#stage").inner_text(), page.locator(".toast-wrap").all_inner_texts()
    return f"not filled: {stage=}, {toasts=}, {page.faults=}, {page.lost=}, asked last: {page.asked[-5:]}"


@pytest.fixture
def visit(running, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open the page as somebody; everything that went wrong in the browser is in `page.faults`."""
    contexts = []

    def open_page(owner: str, width: int = 1280, height: int = 900, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            extra_http_headers={"X-Easel-User": owner},
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.faults = []
        page.asked, page.lost = [], []
        page.on("console", lambda one: page.faults.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda one: page.faults.append(str(one)))
        page.on("request", lambda one: page.asked.append(one.url))
        page.on(
            "response", lambda one: page.lost.append(f"{one.status} {one.url}") if one.status > 399 else None
        )
        page.on("requestfailed", lambda one: page.lost.append(f"{one.failure} {one.url}"))
        page.goto(running.url)
        page.wait_for_selector("#checkpoint input")
        try:
            expect(page.locator("#checkpoint input")).not_to_have_value("")
        except AssertionError as error:
            raise AssertionError(why(page)) from error
        page.evaluate(NOTE)
        return page

    yield open_page
    for context in contexts:
        context.close()
