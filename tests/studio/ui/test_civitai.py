"""The Civitai tab in a real browser, against the stand-in of Civitai."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from tests.models.civitai_stand_in import file, version
from tests.models.serving import model_bytes
from tests.studio.library import PAGE, Place, place
from tests.studio.ui.conftest import until

# A busy machine needs its time for a page; nothing here waits for time to pass.
pytestmark = pytest.mark.timeout(400)
MARKUP = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>"\'&amp;'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, str]]:
    from easel.studio.app import create_app

    with place(tmp_path_factory.mktemp("home")) as made:
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(made.studio), log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield made, f"http://127.0.0.1:{taken.getsockname()[1]}"
        server.should_exit = server.force_exit = True
        thread.join(10)


@pytest.fixture
def tab(site: tuple[Place, str], browser: Browser) -> Iterator[Page]:
    """The tab as ada opens it; every address that her browser asks is in `page.asked`."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, extra_http_headers={"X-Easel-User": "ada"}
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.asked = []  # type: ignore[attr-defined]
    page.on("request", lambda one: page.asked.append(one.url))  # type: ignore[attr-defined]
    opened(page, site[1])
    yield page
    context.close()


def opened(page: Page, url: str) -> None:
    page.goto(url)
    # A tab that is pressed while the page is still being put together is not opened, on a busy machine.
    expect(page.locator("#generate")).to_be_visible()
    page.get_by_role("tab", name="Civitai").click()
    expect(page.locator("#civitai-url")).to_be_visible()


def look(page: Page, address: str = PAGE) -> None:
    page.locator("#civitai-url").fill(address)
    page.locator("#civitai-info").click()


def test_from_a_page_to_a_model(site: tuple[Place, str], tab: Page) -> None:
    """Paste, look, choose a folder, download, see it; and the browser asks nobody but the studio."""
    made, url = site
    made.civitai.publish(version(publishedAt="2023-07-30T00:00:00Z"))
    look(tab)
    card = tab.locator("#civitai-card")
    expect(card).to_contain_text("DreamShaper")
    expect(card).to_contain_text("Checkpoint")
    expect(card).to_contain_text("SD 1.5 · 2023-07-30")
    expect(card).to_contain_text("soft light")
    expect(tab.locator("#civitai-file")).to_contain_text("1.5 MB · SafeTensor · pruned · fp16 · scanned")
    tab.locator("#civitai-licence summary").click()
    expect(card).to_contain_text("Sell pictures made with it: yes")
    expect(card.locator("img").first).to_have_js_property("complete", True)
    expect(card.locator("img.blurred")).to_have_count(1)
    tab.locator("#civitai-folder").select_option(label="New folder…")
    tab.locator("#civitai-new-folder").fill("anime/soft")
    tab.locator("#civitai-download").click()
    there = tab.locator("#civitai-downloaded [data-name='anime/soft/dreamshaper_8.safetensors']")
    expect(there).to_contain_text("dreamy")
    expect(there.locator("img")).to_be_visible()
    # Where it was made known, it can be chosen.
    tab.get_by_role("tab", name="Draw").click()
    tab.locator("#reload").click()
    tab.locator("#checkpoint input").click()
    expect(tab.get_by_role("option", name=re.compile("dreamshaper_8"))).to_be_visible()
    assert [one for one in tab.asked if not one.startswith((url, "data:", "blob:"))] == []  # type: ignore[attr-defined]


def test_a_download_outlives_the_tab(site: tuple[Place, str], tab: Page) -> None:
    """Progress with speed and time left, there again after a reload; Cancel ends it."""
    made, url = site
    content = model_bytes(12_000_000, seed=8)
    made.civitai.publish(version(7, files=[file(content, id=7, name="slow.safetensors")]), content)
    made.civitai.rate = 25_000
    look(tab, "civitai://models/4384?version=7")
    tab.locator("#civitai-download").click()
    job = tab.locator("#civitai-jobs li.running")
    expect(job).to_contain_text(re.compile(r"fetching .* of 12.0 MB, .* a second, .* left"))
    opened(tab, url)
    expect(job.get_by_role("progressbar")).to_be_visible()
    job.get_by_role("button", name="Cancel").click()
    expect(tab.locator("#civitai-jobs li.cancelled")).to_contain_text("goes on from there")
    made.civitai.rate = 0


def test_markup_in_every_field(site: tuple[Place, str], tab: Page) -> None:
    """What strangers write is shown as they wrote it, and does nothing."""
    made, _ = site
    made.civitai.model_says = {
        "name": MARKUP, "type": MARKUP, "tags": [MARKUP], "creator": {"username": MARKUP},
        "description": MARKUP + "<b>bold</b>", "nsfw": MARKUP,
        "allowCommercialUse": [MARKUP], "allowNoCredit": MARKUP,
    }  # fmt: skip
    bad = file(id=9, name=MARKUP, type=MARKUP, metadata={"format": MARKUP, "size": MARKUP, "fp": MARKUP})
    made.civitai.publish(
        version(9, model=99, name=MARKUP, baseModel=MARKUP, trainedWords=[MARKUP], description=MARKUP,
                publishedAt=MARKUP, files=[bad, {**file(id=10), "pickleScanResult": MARKUP}])
    )  # fmt: skip
    look(tab, "99")
    expect(tab.locator("#civitai-card h3")).to_have_text(MARKUP)
    expect(tab.locator("#civitai-card")).to_contain_text("bold")
    look(tab, f"civitai://models/{MARKUP}")
    expect(tab.locator("#civitai-trouble")).to_be_visible()
    assert tab.evaluate("window.hurt") is None
    assert tab.locator("easel-models script").count() == 0
    made.civitai.model_says = {}


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out(site: tuple[Place, str], browser: Browser, tmp_path: Path, width: int) -> None:
    """On a desktop and on a phone nothing has to be scrolled sideways."""
    made, url = site
    made.civitai.publish(version())
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    page.set_default_timeout(60_000)
    opened(page, url)
    look(page)
    expect(page.locator("#civitai-card")).to_contain_text("DreamShaper")
    # Not "networkidle": the page's event stream stays open for as long as the page does.
    until(page, "[...document.querySelectorAll('#civitai-card img')].every(one => one.complete)")
    page.screenshot(path=tmp_path / f"civitai-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
