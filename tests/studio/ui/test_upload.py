"""The Upload tab in a real browser: files dropped there are models afterwards, or told why not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.studio.files.conftest import model
from tests.studio.ui.conftest import until

PIECE = 65536


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Upload").click()
    expect(page.locator("easel-upload label")).to_be_visible(timeout=30_000)


def test_models_dropped_on_the_page(visit: Callable[..., Page], running, tmp_path: Path) -> None:
    """Several files go up one after the other, in pieces; a pickle among them is refused in words, and so
    is a name that is markup, shown as the text that it is."""
    good = model(tmp_path / "dropped.safetensors", 400_000)
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x80\x02}q\x00" + b"x" * 100_000)
    markup = model(tmp_path / "<b>bold.safetensors")
    page = visit("ada")
    open_tab(page)
    page.evaluate(f"customElements.get('easel-upload').PIECE = {PIECE}")
    pieces: list[str] = []
    page.on("request", lambda sent: sent.method == "PATCH" and pieces.append(sent.url))
    page.locator("easel-upload input").set_input_files([markup, bad, good])
    rows = page.locator("easel-upload li")
    expect(rows.nth(0)).to_contain_text("models/Lora/dropped.safetensors is in", timeout=60_000)
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text(re.compile("pickle"), timeout=30_000)
    expect(rows.nth(2)).to_contain_text("'<b>bold.safetensors': it holds a letter", timeout=30_000)
    assert page.locator("easel-upload li b").count() == 0
    there = running.home / "models" / "Lora" / "dropped.safetensors"
    assert there.read_bytes() == good.read_bytes()
    assert len(pieces) > 6
    there.unlink()


def test_a_closed_tab_is_gone_on_with(visit: Callable[..., Page], running, tmp_path: Path) -> None:
    """The page is left in the middle; the same file dropped again is sent from there on."""
    file = model(tmp_path / "closed.safetensors", 600_000, seed=3)
    page = visit("ada")
    open_tab(page)
    page.evaluate(f"customElements.get('easel-upload').PIECE = {PIECE}")
    held: list[object] = []

    def fourth(route) -> None:
        if route.request.method == "PATCH" and len(held) < 4:
            held.append(route)
            if len(held) == 4:
                return  # never answered: the tab is closed on it
        route.continue_()

    page.route("**/files/uploads/*", fourth)
    page.locator("easel-upload input").set_input_files(file)
    until(page, "() => document.querySelector('easel-upload progress')?.value > 0.2")
    page.unroute("**/files/uploads/*")
    page.reload()
    open_tab(page)
    sent: list[int] = []

    def note(request) -> None:
        if request.method == "PATCH":
            sent.append(int(request.headers["upload-offset"]))

    page.on("request", note)
    page.locator("easel-upload input").set_input_files(file)
    expect(page.locator("easel-upload li").first).to_contain_text("is in", timeout=60_000)
    assert sent[0] >= 2 * PIECE, "it began anew"
    there = running.home / "models" / "Lora" / "closed.safetensors"
    assert there.read_bytes() == file.read_bytes()
    there.unlink()
