"""A new model on the page: its address, what it is, its version and folder, and down it comes; against the
stand-in of Civitai."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from tests.models.civitai_stand_in import CONTENT, file, version
from tests.models.serving import model_bytes
from tests.studio.library import PAGE, Place, place
from tests.studio.ui.conftest import findings, until

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
def visit(site: tuple[Place, str], browser: Browser) -> Iterator[Callable[..., Page]]:
    """The place as somebody opens it; every address that their browser asks is in `page.asked`."""
    contexts = []

    def opened(owner: str = "ada", width: int = 1280, scheme: str = "light", language: str = "en") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, locale=language,
            extra_http_headers={"X-Easel-User": owner},
        )  # fmt: skip
        contexts.append(context)
        # Later than what the studio knows, whatever the machine is busy with.
        context.route("**/texts/de.json", lambda words: (time.sleep(0.5), words.continue_()))
        page = context.new_page()
        page.asked, page.faults = [], []
        page.on("request", lambda one: page.asked.append(one.url))
        page.on("pageerror", lambda one: page.faults.append(str(one)))
        page.goto(f"{site[1]}/#models")
        expect(page.locator(".add-model")).to_be_visible()
        return page

    yield opened
    for context in contexts:
        context.close()


def look(page: Page, address: str = PAGE) -> None:
    page.get_by_label("1. Address of a model").fill(address)
    page.get_by_role("button", name="Get model info").click()


def refusal(page: Page):
    """What is said beside the address. That there is no checkpoint yet is said elsewhere."""
    return page.get_by_role("region", name="Add a model").get_by_role("alert")


def transfers(page: Page):
    """The list of what is on its way."""
    return page.get_by_role("region", name="Downloads and uploads")


def test_an_empty_store_says_what_to_do(site: tuple[Place, str], visit: Callable[..., Page]) -> None:
    """Before there is any model, each kind is explained, and so is how one comes in; that there is no
    checkpoint is said once, in the page's language, however late its words come."""
    german = visit("spricht-deutsch", language="de")
    expect(german.locator(".notice")).to_have_count(1)
    expect(german.locator(".notice")).to_contain_text("es gibt keinen Checkpoint")
    page = visit()
    expect(page.get_by_role("heading", name="No models yet")).to_be_visible()
    page.get_by_role("tab", name=re.compile("^LoRAs")).click()
    expect(page.get_by_text("teaches a checkpoint a style")).to_be_visible()
    expect(page.get_by_text("Paste an address above, or drop a .safetensors file")).to_be_visible()


def test_from_a_page_to_a_model(site: tuple[Place, str], visit: Callable[..., Page]) -> None:
    """Paste, look, choose a folder, download, use it now; and the browser asks nobody but the studio."""
    made, url = site
    made.civitai.publish(version(publishedAt="2023-07-30T00:00:00Z"))
    page, other = visit(), visit("bob")
    look(page)
    card = page.get_by_role("article", name="DreamShaper")
    expect(card).to_contain_text("Checkpoint · by Lykon · SD 1.5 · 2023-07-30")
    expect(card).to_contain_text("soft light")
    expect(card.get_by_role("combobox", name="File", exact=True)).to_contain_text(
        "1.5 MB · SafeTensor · pruned · fp16 · scanned"
    )
    card.get_by_text("What its creator allows").click()
    expect(card).to_contain_text("Sell pictures made with it: yes")
    until(page, "[...document.querySelectorAll('.offer img')].every((one) => one.naturalWidth > 0)")
    expect(card.locator("img.blurred")).to_have_count(1)
    card.get_by_label("Show mature previews").check()
    expect(card.locator("img.blurred")).to_have_count(0)
    card.get_by_role("combobox", name="Folder", exact=True).select_option(label="New folder…")
    card.get_by_label("Name of the new folder").fill("anime/soft")
    card.get_by_role("button", name="3. Download").click()
    expect(card).to_contain_text("downloaded")
    there = "article.model[data-name='anime/soft/dreamshaper_8.safetensors']"
    expect(page.locator(f"{there} img")).to_be_visible()
    expect(other.locator(there)).to_be_visible(timeout=20_000)
    expect(other.get_by_text("there is no checkpoint")).to_have_count(0)
    card.get_by_role("button", name="Use it now").click()
    expect(page.get_by_label("Checkpoint", exact=True)).to_have_value("anime/soft/dreamshaper_8.safetensors")
    expect(page).to_have_url(re.compile("#create$"))
    assert (made.root / "Stable-diffusion/anime/soft/dreamshaper_8.safetensors").read_bytes() == CONTENT
    assert [one for one in page.asked if not one.startswith((url, "data:", "blob:"))] == []
    assert page.faults == []


def test_an_address_of_the_web(site: tuple[Place, str], visit: Callable[..., Page]) -> None:
    """Any address will do; who knows what it is says so, and where there is no model it is told."""
    made, _ = site
    made.civitai.storage.put("/style.safetensors", model_bytes(50_000, seed=5))
    page = visit()
    look(page, f"{made.civitai.storage.url}/style.safetensors")
    card = page.get_by_role("article", name="style.safetensors")
    card.get_by_role("combobox", name="Type", exact=True).select_option("lora")
    card.get_by_role("button", name="3. Download").click()
    expect(page.locator("article.model[data-kind='lora'][data-name='style.safetensors']")).to_be_visible()
    look(page, "civitai://models/99999")
    expect(refusal(page)).to_contain_text("check the page")
    expect(page.locator("article.offer")).to_have_count(0)


@pytest.mark.slow
def test_a_download_outlives_the_tab(site: tuple[Place, str], visit: Callable[..., Page]) -> None:
    """Progress with speed and time left, there again after a reload; Cancel ends it, and again goes on."""
    made, _ = site
    content = model_bytes(12_000_000, seed=8)
    made.civitai.publish(version(7, files=[file(content, id=7, name="slow.safetensors")]), content)
    made.civitai.rate = 25_000
    page = visit()
    look(page, "civitai://models/4384?version=7")
    page.get_by_role("button", name="3. Download").click()
    offer = page.get_by_role("article", name="DreamShaper")
    expect(offer).to_contain_text(re.compile(r"of 12.0 MB, .* a second, .* left"))
    page.reload()
    going = transfers(page).locator(".transfer.running")
    expect(going.get_by_role("progressbar")).to_be_visible()
    # Somebody else sees it, and cannot end it.
    other = visit("bob")
    expect(transfers(other).locator(".transfer.running")).to_be_visible()
    expect(transfers(other).get_by_role("button", name="Cancel")).to_have_count(0)
    going.get_by_role("button", name="Cancel").click()
    ended = transfers(page).locator(".transfer.cancelled")
    expect(ended).to_contain_text("goes on from there")
    made.civitai.rate = 0
    ended.get_by_role("button", name="Try again").click()
    expect(page.locator("article.model[data-name='slow.safetensors']")).to_be_visible()
    expect(page.get_by_role("button", name="Use it now").first).to_be_visible()
    # What was begun anew is no offer to begin it anew.
    expect(ended).to_have_count(0)


def test_a_newer_version(site: tuple[Place, str], visit: Callable[..., Page]) -> None:
    """Asked for one model in its panel, or for all at once; a press shows it, ready to come."""
    made, _ = site
    made.civitai.publish(version(20, model=20, files=[file(id=20, name="old.safetensors")]))
    page = visit()
    look(page, "civitai://models/20")
    page.get_by_role("button", name="3. Download").click()
    opener = page.get_by_role("button", name="About old", exact=True)
    opener.click()
    panel = page.get_by_role("dialog", name="old")
    panel.get_by_role("button", name="Check for a newer version").click()
    expect(panel).to_contain_text("You have the newest")
    page.keyboard.press("Escape")
    made.civitai.publish(version(21, model=20, name="nine", files=[file(id=21, name="nine.safetensors")]))
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Check all for newer versions").click()
    expect(page.locator("article.model[data-name='old.safetensors']")).to_contain_text("newer version")
    opener.click()
    expect(panel).to_contain_text("Version nine is newer")
    panel.get_by_role("button", name="Look at it").click()
    expect(page.locator("article.offer").get_by_role("combobox", name="Version", exact=True)).to_have_value(
        "21"
    )


def test_what_can_run_code_cannot_be_chosen(site: tuple[Place, str], visit: Callable[..., Page]) -> None:
    """A version of pickles only says why it cannot come."""
    made, _ = site
    pickle = file(id=31, name="a.ckpt", metadata={"format": "PickleTensor"})
    made.civitai.publish(version(31, model=31, files=[pickle]))
    page = visit()
    look(page, "civitai://models/31")
    card = page.get_by_role("article", name="DreamShaper")
    expect(card).to_contain_text("Nothing here can be downloaded: not safetensors")
    expect(card.get_by_role("button", name="3. Download")).to_be_disabled()


def test_markup_in_every_field(site: tuple[Place, str], visit: Callable[..., Page]) -> None:
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
    try:
        page = visit()
        look(page, "99")
        expect(page.locator("article.offer h3")).to_have_text(MARKUP)
        expect(page.locator("article.offer")).to_contain_text("bold")
        look(page, f"civitai://models/{MARKUP}")
        expect(refusal(page)).to_be_visible()
        assert page.evaluate("window.hurt") is None
        assert page.locator("easel-models script").count() == 0
    finally:
        made.civitai.model_says = {}


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        (390, "dark"),
        pytest.param(390, "light", marks=pytest.mark.slow),
        pytest.param(1280, "dark", marks=pytest.mark.slow),
    ],
)
def test_nothing_sticks_out(
    site: tuple[Place, str], visit: Callable[..., Page], width: int, scheme: str
) -> None:
    """On a desktop and on a phone nothing has to be scrolled sideways, and axe finds no fault."""
    made, _ = site
    made.civitai.publish(version())
    page = visit(width=width, scheme=scheme)
    look(page)
    expect(page.get_by_role("article", name="DreamShaper")).to_be_visible()
    page.get_by_text("What its creator allows").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert findings(page) == []
