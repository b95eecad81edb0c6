"""The whole of Easel as a newcomer has it: real command, gateway, Caddy, studio, starter and browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.ports import free_ports
from tests.scripts.running import Up, environment, up

# The machine's own browser; Playwright downloads none. Chromium phones home unless told not to.
CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`easel up` with the local stack, until the studio is ready."""
    settings = environment(tmp_path_factory.mktemp("home"), free_ports() + 1)
    del settings["EASEL_REPLICA"]  # the real studio
    with up(settings) as running:
        running.says("studio is ready after", timeout=150)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Not for the session: Playwright keeps an event loop, and no other runs beside it."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """One person's browser: own cookies, own tab, a desktop's size."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def starter() -> Path:
    """The file that ships."""
    return Path(__file__).parents[2] / "image" / "starter" / "easel-starter.safetensors"
