"""The gallery as people use it: selecting, stars, boards, deleting, downloading, sharing."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.studio.ui.gallery_page import counted, focused, put, tiles


def test_selecting_with_the_mouse(running, visit) -> None:
    """A box selects, then clicks do; Shift takes all between; a day at once; Escape lets go."""
    put(running, "mouse", 0, 3)
    put(running, "mouse", 1, 8)
    page = visit("mouse", path="#gallery")
    bar = page.get_by_role("toolbar", name=re.compile("selected"))
    page.get_by_label("Select a red fox 3", exact=True).first.check()
    expect(bar).to_have_accessible_name("1 selected")
    tiles(page).nth(1).click()
    expect(bar).to_have_accessible_name("2 selected")
    tiles(page).nth(6).click(modifiers=["Shift"])
    expect(bar).to_have_accessible_name("7 selected")
    tiles(page).nth(6).click()
    expect(bar).to_have_accessible_name("6 selected")
    page.get_by_role("button", name="Select day: Yesterday").click()
    expect(bar).to_have_accessible_name("11 selected")
    page.get_by_role("button", name="Select day: Yesterday").click()
    expect(bar).to_have_accessible_name("3 selected")
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    tiles(page).nth(2).click(modifiers=["Control"])
    expect(bar).to_have_accessible_name("1 selected")
    expect(page.locator("dialog.viewer")).to_be_hidden()


def test_everything_with_the_keyboard(running, visit) -> None:
    """One stop for Tab, arrows among the pictures over days, Space selects, Enter opens, Delete asks."""
    put(running, "by-keys-alone", 0, 7)
    put(running, "by-keys-alone", 1, 7)
    page = visit("by-keys-alone", path="#gallery")
    counted(page, "14 pictures")
    assert page.locator("easel-grid .tile[tabindex='0']").count() == 1
    page.locator("easel-grid .tile[tabindex='0']").focus()
    assert focused(page).endswith("00007-7.png")
    for key, number in [
        ("ArrowRight", 6),
        ("ArrowDown", 1),
        ("ArrowDown", 6),
        ("ArrowUp", 1),
        ("ArrowUp", 6),
    ]:
        page.keyboard.press(key)
        assert focused(page).endswith(f"{number:05}-{number}.png"), key
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    bar = page.get_by_role("toolbar", name=re.compile("selected"))
    expect(bar).to_have_accessible_name("3 selected")
    page.keyboard.press("Delete")
    question = page.get_by_role("dialog", name="Delete 3 pictures?")
    expect(question).to_contain_text("cannot be undone")
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(bar).to_have_accessible_name("3 selected")
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    page.keyboard.press("Control+a")
    expect(bar).to_have_accessible_name("14 selected")
    page.keyboard.press("Escape")
    page.locator("easel-grid .tile[tabindex='0']").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("dialog.viewer").get_by_role("img")).to_have_accessible_name("a red fox 1")


@pytest.mark.slow
def test_deleting_many(running, visit) -> None:
    """Asked about with their number; gone from the page, the disk and a second tab."""
    put(running, "deleter", 0, 5)
    page = visit("deleter", path="#gallery")
    other = visit("deleter", path="#gallery", beside=page)
    counted(other, "5 pictures")
    page.get_by_label("Select a red fox 5", exact=True).check()
    tiles(page).nth(1).click()
    page.get_by_role("toolbar").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete 2 pictures?").get_by_role("button", name="Delete").click()
    counted(page, "3 pictures")
    expect(page.get_by_text("2 pictures deleted.")).to_be_visible()
    counted(other, "3 pictures")
    assert len(running.studio.outputs.recent("deleter")) == 3


def test_stars(running, visit) -> None:
    """Given to many at once and to one; only those are shown when asked; taken they are gone from there."""
    put(running, "starrer", 0, 4)
    page = visit("starrer", path="#gallery")
    page.get_by_label("Select a red fox 4", exact=True).check()
    tiles(page).nth(1).click()
    page.get_by_role("toolbar").get_by_role("button", name="Star").click()
    expect(page.locator(".tile .starred")).to_have_count(2)
    page.keyboard.press("Escape")
    page.locator(".only-starred").click()
    counted(page, "2 pictures")
    page.reload()
    counted(page, "4 pictures")
    expect(page.locator(".tile .starred")).to_have_count(2)
    page.locator(".only-starred").click()
    tiles(page).first.click()
    page.locator("dialog.viewer").get_by_role("button", name="Star", exact=True).click()
    page.keyboard.press("Escape")
    counted(page, "1 picture")


def test_boards(running, visit) -> None:
    """Made, filled, looked at, renamed, emptied, deleted; its pictures stay. A name twice is refused."""
    put(running, "boarder", 0, 4)
    page = visit("boarder", path="#gallery")
    boards = page.get_by_role("navigation", name="Boards")
    page.get_by_label("Select a red fox 4", exact=True).check()
    tiles(page).nth(1).click()
    page.get_by_role("toolbar").get_by_label("Add to board…").select_option("New board…")
    page.get_by_role("dialog", name="New board").get_by_label("Name").fill("Füchse <b>世界</b>")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 pictures are on “Füchse <b>世界</b>” now.")).to_be_visible()
    boards.get_by_role("button", name="Füchse").click()
    counted(page, "2 pictures")
    expect(boards.get_by_role("button", name="Füchse")).to_contain_text("2")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("dialog", name="Rename").get_by_label("Name").fill("Foxes")
    page.keyboard.press("Enter")
    expect(boards.get_by_role("button", name="Foxes")).to_be_visible()
    boards.get_by_role("button", name="New board").click()
    page.get_by_role("dialog").get_by_label("Name").fill("foxes")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("take another name")
    page.get_by_label("Select a red fox 4", exact=True).check()
    page.get_by_role("button", name="Take off the board").click()
    counted(page, "1 picture")
    page.get_by_role("button", name="Delete board").click()
    page.get_by_role("dialog", name=re.compile("Foxes")).get_by_role("button", name="Delete board").click()
    counted(page, "4 pictures")
    expect(boards.get_by_role("button")).to_have_count(3)


def fetched(running, page: Page, press: Callable[[], None]) -> httpx.Response:
    """What a press downloads. Playwright's extra headers, by which the door is stood in for, are not in a
    browser's downloads: asked again with them."""
    with page.expect_download() as got:
        press()
    with running.ask("loader") as client:
        return client.get(got.value.url)


def test_downloading(running, visit) -> None:
    """Many are one ZIP file, one is itself."""
    put(running, "loader", 0, 3)
    page = visit("loader", path="#gallery")
    page.get_by_label("Select a red fox 3", exact=True).check()
    tiles(page).nth(2).click()
    bar = page.get_by_role("toolbar", name="2 selected")
    answer = fetched(running, page, bar.get_by_role("button", name="Download").click)
    assert re.search(
        r'filename="easel-[0-9]{4}-[0-9]{2}-[0-9]{2}[.]zip"', answer.headers["content-disposition"]
    )
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert [name.split("/")[1] for name in archive.namelist()] == ["00003-3.png", "00001-1.png"]
    page.keyboard.press("Escape")
    tiles(page).first.click()
    dialog = page.locator("dialog.viewer")
    answer = fetched(running, page, dialog.get_by_role("button", name="Download").click)
    assert Image.open(io.BytesIO(answer.content)).size == (64, 64)


def test_sharing(running, visit) -> None:
    """One makes a link, another opens it, sees that picture and uses it, and sees nothing else; ended, it is
    gone."""
    put(running, "sharer", 0, 3)
    page = visit("sharer", path="#gallery")
    tiles(page).nth(1).click()
    page.locator("dialog.viewer").get_by_role("button", name="Share…").click()
    dialog = page.get_by_role("dialog", name="Share this picture")
    dialog.get_by_role("button", name="Make a link").click()
    address = dialog.get_by_label("Link").input_value()
    assert address.startswith(f"{running.url}/#shared/")

    other = visit("receiver", path=address.split("/")[-2] + "/" + address.split("/")[-1])
    expect(tiles(other)).to_have_count(1)
    assert "sharer" not in other.content()
    tiles(other).first.click()
    seen = other.locator("dialog.viewer")
    expect(seen.get_by_role("img")).to_have_accessible_name("a red fox 2")
    for name in ("Delete", "Share…", "Star"):
        expect(seen.get_by_role("button", name=name, exact=True)).to_have_count(0)
    seen.get_by_role("button", name="Use in Create").click()
    expect(other.get_by_label("Prompt", exact=True)).to_have_value("a red fox 2")

    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Shared links").click()
    mine = page.get_by_role("dialog", name="Shared links")
    expect(mine.get_by_role("listitem")).to_have_count(1)
    mine.get_by_role("button", name="End sharing").click()
    expect(mine.get_by_text("You share nothing at the moment.")).to_be_visible()
    other.goto(address)
    other.reload()
    expect(other.get_by_role("heading", name="Nothing is shared here")).to_be_visible()
