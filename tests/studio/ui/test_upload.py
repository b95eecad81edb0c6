"""Files from one's own device: dropped anywhere on the place they are models afterwards, or told why not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.studio.files.conftest import model
from tests.studio.ui.conftest import until

pytestmark = pytest.mark.timeout(400)
PIECE = 65536
MODULE = "new URL('models/upload.js', document.querySelector('script[type=module]').src).href"
DROP = """async ([name, size]) => {
  const held = new DataTransfer();
  held.items.add(new File([new Uint8Array(size)], name));
  for (const type of ["dragenter", "dragover", "drop"]) {
    const said = () => document.querySelector(".models-drop")?.innerText ?? "";
    for (let looks = 0; type === "drop" && looks < 50 && !(window.shown = said()); looks += 1) {
      await new Promise((done) => setTimeout(done, 50));
    }
    const event = new DragEvent(type, { dataTransfer: held, bubbles: true, cancelable: true });
    document.querySelector("main").dispatchEvent(event);
    await new Promise((done) => setTimeout(done, 50));
  }
}"""


@pytest.fixture
def place(visit: Callable[..., Page]) -> Callable[[], Page]:
    def opened() -> Page:
        page = visit("ada", path="#models")
        ready(page)
        return page

    return opened


def ready(page: Page) -> None:
    """Small pieces, so that a small file goes in many."""
    expect(page.get_by_text("Choose files…")).to_be_visible()
    page.evaluate(f"import({MODULE}).then((found) => {{ found.piece.bytes = {PIECE}; }})")


def rows(page: Page):
    """The lines of uploads, the newest first."""
    return page.get_by_role("region", name="Downloads and uploads").locator("li .transfer:not([data-job])")


def chosen(page: Page):
    """The field that takes files."""
    return page.locator(".add-model input[type=file]")


def test_models_dropped_on_the_page(place, running, tmp_path: Path) -> None:
    """Several files go up one after the other, in pieces; a pickle among them is refused in words, and so
    is a name that is markup, shown as the text that it is."""
    good = model(tmp_path / "dropped.safetensors", 400_000)
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x80\x02}q\x00" + b"x" * 100_000)
    markup = model(tmp_path / "<b>bold.safetensors")
    page = place()
    pieces: list[str] = []
    page.on("request", lambda sent: sent.method == "PATCH" and pieces.append(sent.url))
    chosen(page).set_input_files([markup, bad, good])
    expect(rows(page)).to_have_count(3)
    expect(rows(page).nth(0)).to_contain_text("models/Lora/dropped.safetensors is in", timeout=60_000)
    expect(rows(page).nth(1)).to_contain_text(re.compile("pickle"))
    expect(rows(page).nth(2)).to_contain_text("'<b>bold.safetensors': it holds a letter")
    assert page.locator("easel-model-transfers li b b").count() == 0
    there = running.home / "models" / "Lora" / "dropped.safetensors"
    assert there.read_bytes() == good.read_bytes()
    assert len(pieces) > 6
    # It can be used at once, and its line goes when it is told to.
    expect(page.locator("article.model[data-name='dropped.safetensors']")).to_be_visible()
    expect(rows(page).nth(0).get_by_role("button", name="Use it now")).to_be_visible()
    page.get_by_role("button", name="Take off the list").first.click()
    expect(rows(page)).to_have_count(2)
    there.unlink()


def test_dropped_anywhere(place) -> None:
    """The whole place takes files, and says so while one is held over it."""
    page = place()
    page.evaluate(DROP, ["held.safetensors", 5000])
    assert "Drop models here" in page.evaluate("window.shown")
    expect(page.locator(".models-drop")).to_have_count(0)
    expect(rows(page).first).to_contain_text("held.safetensors")
    expect(rows(page).first).to_contain_text(re.compile("header|safetensors"))
    page.get_by_role("link", name="Create").click()
    page.evaluate(DROP, ["elsewhere.safetensors", 5000])
    page.get_by_role("link", name="Models").click()
    expect(rows(page)).to_have_count(1)


def test_a_closed_tab_is_gone_on_with(place, running, tmp_path: Path) -> None:
    """The page is left in the middle; the same file dropped again is sent from there on."""
    file = model(tmp_path / "closed.safetensors", 600_000, seed=3)
    page = place()
    held: list[object] = []

    def fourth(route) -> None:
        if route.request.method == "PATCH" and len(held) < 4:
            held.append(route)
            if len(held) == 4:
                return  # never answered: the tab is closed on it
        route.continue_()

    page.route("**/files/uploads/*", fourth)
    chosen(page).set_input_files(file)
    until(page, "() => document.querySelector('easel-model-transfers progress')?.value > 0.2")
    page.unroute("**/files/uploads/*")
    page.reload()
    ready(page)
    sent: list[int] = []

    def note(request) -> None:
        if request.method == "PATCH":
            sent.append(int(request.headers["upload-offset"]))

    page.on("request", note)
    chosen(page).set_input_files(file)
    expect(rows(page).first).to_contain_text("is in", timeout=60_000)
    assert sent[0] >= 2 * PIECE, "it began anew"
    there = running.home / "models" / "Lora" / "closed.safetensors"
    assert there.read_bytes() == file.read_bytes()
    there.unlink()


def test_stopped_and_sent_again(place, running, tmp_path: Path) -> None:
    """Cancel ends it here and there; Try again sends it whole."""
    file = model(tmp_path / "stopped.safetensors", 600_000, seed=4)
    page = place()
    page.route(
        "**/files/uploads/*", lambda route: None if route.request.method == "PATCH" else route.continue_()
    )
    chosen(page).set_input_files(file)
    rows(page).first.get_by_role("button", name="Cancel").click()
    expect(rows(page).first).to_contain_text("stopped")
    page.unroute_all(behavior="ignoreErrors")
    rows(page).first.get_by_role("button", name="Try again").click()
    expect(rows(page).first).to_contain_text("is in", timeout=60_000)
    (running.home / "models" / "Lora" / "stopped.safetensors").unlink()
