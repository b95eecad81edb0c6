"""The gallery as people use it: looking and finding, one picture, ten thousand."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from PIL import Image
from playwright.sync_api import expect

from easel.studio.png import encode
from tests.studio.ui.conftest import findings, until
from tests.studio.ui.gallery_page import counted, put, tiles


def test_days_with_the_newest_first(running, visit) -> None:
    """Headings by day, pictures of each, small versions only, and how many there are."""
    put(running, "days", 0, 2)
    put(running, "days", 1, 3, "a blue whale")
    put(running, "days", 400, 1, "an old owl")
    page = visit("days", path="#gallery")
    counted(page, "6 pictures")
    heads = page.locator(".day-head h3").all_inner_texts()
    assert heads[:2] == ["Today", "Yesterday"]
    assert str((date.today() - timedelta(days=400)).year) in heads[2]
    expect(tiles(page).first).to_have_accessible_name("a red fox 2")
    until(page, "[...document.querySelectorAll('.tile img')].every((one) => one.naturalWidth > 0)")
    sources = page.evaluate("[...document.querySelectorAll('.tile img')].map((one) => one.src)")
    assert all("/studio/gallery/small/" in one for one in sources), "the full size is never asked for"
    assert not page.faults


def test_nothing_yet_teaches(visit) -> None:
    """Who has drawn nothing is told what will be here, and led to where it begins."""
    page = visit("nothing-drawn", path="#gallery")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    page.get_by_role("link", name="Draw the first one").click()
    expect(page).to_have_url(re.compile("#create$"))


def test_searching(running, visit) -> None:
    """As one types; how many are told to those who cannot see; nothing found says what to do."""
    put(running, "seeker", 0, 3)
    put(running, "seeker", 1, 2, "a blue whale")
    page = visit("seeker", path="#gallery")
    field = page.get_by_role("searchbox", name="Search in prompts")
    field.fill("WHALE blue")
    counted(page, "2 pictures found")
    assert page.locator(".tools .count").get_attribute("role") == "status"
    expect(tiles(page)).to_have_count(2)
    field.fill("zebra")
    expect(page.get_by_role("heading", name="No picture says that")).to_be_visible()
    page.get_by_role("button", name="Show all pictures").click()
    counted(page, "5 pictures")
    expect(field).to_have_value("")


def test_looking_at_one(running, visit) -> None:
    """A click opens it as large as the window; arrows go on, Escape comes back to where one was."""
    put(running, "viewer", 0, 4)
    page = visit("viewer", path="#gallery")
    tiles(page).nth(1).click()
    dialog = page.locator("dialog.viewer")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("img")).to_have_accessible_name("a red fox 3")
    until(page, "document.querySelector('.whole').naturalWidth === 64")
    box = page.locator(".whole").bounding_box()
    assert box["height"] > 600
    assert box["y"] + box["height"] <= 800
    expect(dialog.locator(".said-prompt").last).to_have_text("blurry")
    expect(dialog.locator("dl")).to_contain_text("Euler")
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("img")).to_have_accessible_name("a red fox 2")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(dialog.get_by_role("img")).to_have_accessible_name("a red fox 4")
    expect(dialog.get_by_role("button", name="Picture before")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    # The focus is on the picture that was looked at last.
    until(page, "document.activeElement.closest('[data-id]')?.dataset.id.endsWith('-4.png')")
    assert not page.faults


def test_going_back(running, visit) -> None:
    """The browser's Back closes the picture and stays in the gallery; in another place no dialog is left
    that would hold the page."""
    put(running, "goer", 0, 2)
    page = visit("goer", path="#gallery")
    dialog = page.locator("dialog.viewer")
    for _ in range(2):
        tiles(page).first.click()
        expect(dialog).to_be_visible()
        page.go_back()
        expect(dialog).to_be_hidden()
        expect(page).to_have_url(re.compile("#gallery$"))
    tiles(page).first.click()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Models").click()
    page.go_back()
    page.get_by_role("button", name="Shared links").click()
    page.go_back()
    page.go_forward()
    page.get_by_role("link", name="Create").click()
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    assert not page.faults


def test_looking_closely(running, visit) -> None:
    """Wheel, keys and double click make it larger; it is dragged then, no further than its edges."""
    put(running, "closely", 0, 1)
    page = visit("closely", path="#gallery")
    tiles(page).first.click()
    whole, stage = page.locator(".whole"), page.locator(".viewer .frame")
    expect(page.locator("dialog.viewer")).to_be_visible()
    until(page, "document.querySelector('.whole').naturalWidth > 0")
    before = whole.bounding_box()
    page.keyboard.press("+")
    assert whole.bounding_box()["width"] > 1.4 * before["width"]
    page.keyboard.press("0")
    assert whole.bounding_box() == before
    stage.dblclick(position={"x": 300, "y": 300})
    assert whole.bounding_box()["width"] >= 2 * before["width"]
    middle = stage.bounding_box()
    page.mouse.move(middle["x"] + 300, middle["y"] + 300)
    page.mouse.down()
    page.mouse.move(middle["x"] + 3000, middle["y"] + 300, steps=5)
    page.mouse.up()
    assert whole.bounding_box()["x"] <= middle["x"]
    page.mouse.move(middle["x"] + 300, middle["y"] + 300)
    for _ in range(12):
        page.mouse.wheel(0, 500)
    until(page, "!document.querySelector('.frame').hasAttribute('data-zoomed')")
    assert whole.bounding_box() == before


def test_use_and_send(running, visit) -> None:
    """What it was drawn from goes into the fields of Create; or the picture itself into a mode."""
    put(running, "user", 0, 1, "a lighthouse")
    page = visit("user", path="#gallery")
    tiles(page).first.click()
    page.get_by_role("button", name="Use in Create").click()
    expect(page).to_have_url(re.compile("#create$"))
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a lighthouse 1")
    expect(page.locator("dialog.viewer")).to_be_hidden()
    page.goto(f"{running.url}/#gallery")
    tiles(page).first.click()
    page.locator("dialog.viewer").get_by_label("Send to…").select_option("Image to image")
    expect(page).to_have_url(re.compile("#create$"))
    fields = "JSON.parse(localStorage.getItem('easel:studio:user') ?? '{}').fields"
    until(page, f"{fields}?.mode === 'image' && {fields}.source?.url.startsWith('files/pictures/')")


def test_a_board_for_the_one_that_is_looked_at(running, visit) -> None:
    """Whoever has no board yet makes one there, and the picture is on it."""
    put(running, "first-board", 0, 1)
    page = visit("first-board", path="#gallery")
    tiles(page).first.click()
    dialog = page.locator("dialog.viewer")
    dialog.get_by_label("Add to board…").select_option("New board…")
    page.get_by_label("Name", exact=True).fill("Foxes")
    page.get_by_role("button", name="Make it").click()
    expect(dialog.get_by_label("Add to board…").get_by_role("option", name="✓ Foxes")).to_be_attached()
    assert page.faults == []


def test_arrows_bring_pictures_out_from_under_the_heads(running, visit) -> None:
    """What stands still at the top of the gallery never lies over the picture that has the focus."""
    put(running, "arrows", 0, 60)
    page = visit("arrows", path="#gallery")
    tiles(page).first.focus()
    for key in ("ArrowDown",) * 8 + ("ArrowUp",) * 8:
        page.keyboard.press(key)
        until(page, "document.activeElement.matches('.tile')")
        box = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
        over = "([x, y]) => document.elementFromPoint(x, y)?.closest('.tile') === document.activeElement"
        assert page.evaluate(over, [box["x"] + 4, box["y"] + 6]), key


def test_deleting_the_one_that_is_looked_at(running, visit) -> None:
    """The next takes its place; after the last the viewer closes."""
    put(running, "one-by-one", 0, 2)
    page = visit("one-by-one", path="#gallery")
    tiles(page).first.click()
    dialog = page.locator("dialog.viewer")
    for name in ("a red fox 2", "a red fox 1"):
        expect(dialog.get_by_role("img")).to_have_accessible_name(name)
        dialog.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog", name="Delete 1 picture?").get_by_role("button", name="Delete").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    assert not page.faults


def test_new_pictures_come_by_themselves(running, visit) -> None:
    """What is drawn appears without reload, at the top, and moves nothing that one looks at."""
    put(running, "drawer", 1, 60)
    page = visit("drawer", path="#gallery")
    counted(page, "60 pictures")
    running.draw("drawer", prompt="a new whale", save_images=True)
    counted(page, "61 pictures")
    expect(tiles(page).first).to_have_accessible_name("a new whale")
    page.evaluate("scrollTo(0, 900)")
    page.wait_for_timeout(300)
    where = "Math.round(document.querySelector('[data-id$=\"00030-30.png\"]').getBoundingClientRect().top)"
    before = page.evaluate(where)
    for seed in range(6):  # more than a row
        running.draw("drawer", prompt="another whale", seed=seed, save_images=True)
    counted(page, "67 pictures")
    page.wait_for_timeout(300)
    assert page.evaluate(where) == before


def test_retention_is_told(running, visit) -> None:
    """How long pictures are kept stands under them."""
    put(running, "keeper", 0, 1)
    page = visit("keeper", path="#gallery")
    expect(page.locator(".kept")).to_have_text("Pictures are kept until you delete them.")


@pytest.mark.slow
def test_ten_thousand(running, visit) -> None:
    """The whole height is there at once; however far one scrolls, few tiles are in the page, and the last
    picture is reached."""
    content = encode(
        Image.new("RGB", (32, 32), "#5b4fe0"), "a fox\nSteps: 2, Sampler: Euler, CFG scale: 7, Seed: 1"
    )
    for day in range(40):
        folder = running.studio.outputs.owned("collector") / (date.today() - timedelta(days=day)).isoformat()
        folder.mkdir(parents=True)
        for number in range(1, 251):
            (folder / f"{number:05}-{number}.png").write_bytes(content)
    page = visit("collector", path="#gallery")
    counted(page, "10,000 pictures")
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height > 100_000
    most = 0
    for part in (0.1, 0.5, 0.9, 1):
        page.evaluate("(to) => scrollTo(0, to * document.documentElement.scrollHeight)", part)
        page.wait_for_timeout(150)
        most = max(most, tiles(page).count())
    until(page, "document.querySelector('easel-grid').pictures.length === 10000", seconds=120)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator(".day-head h3").last).to_be_visible()
    until(page, "document.querySelector('[data-id$=\"00001-1.png\"] img')?.naturalWidth > 0")
    most = max(most, tiles(page).count())
    assert most < 150
    assert page.evaluate("document.querySelectorAll('*').length") < 1500
    assert page.evaluate("window.shifted") < 0.1


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "dark"),
        pytest.param(390, "light", marks=pytest.mark.slow),
        pytest.param(1280, "light", marks=pytest.mark.slow),
        pytest.param(1280, "dark", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_in_anybodys_way(running, visit, width: int, scheme: str) -> None:
    """axe finds nothing: empty, full, with a selection, with one picture, with a question. The page never
    scrolls sideways, and nothing moves by itself."""
    owner = f"access-{width}-{scheme}"
    page = visit(owner, width, 844, scheme, path="#gallery")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    assert findings(page) == []
    put(running, owner, 0, 4)
    put(running, owner, 1, 30)
    page.reload()
    counted(page, "34 pictures")
    until(page, "[...document.querySelectorAll('.tile img')].every((one) => one.complete)")
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width == 390:
        page.get_by_role("button", name="Select", exact=True).click()
    page.get_by_label("Select a red fox 4", exact=True).first.check()
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Escape")
    tiles(page).first.click()
    expect(page.get_by_role("button", name="Use in Create")).to_be_enabled()
    if width == 390:
        page.get_by_role("button", name="Parameters").click()
    expect(page.locator("dialog.viewer dl")).to_be_visible()
    assert findings(page) == []
    page.locator("dialog.viewer").get_by_role("button", name="Share…").click()
    expect(page.get_by_role("button", name="Make a link")).to_be_visible()
    assert findings(page) == []
    assert page.evaluate("window.shifted") < 0.1
    assert not page.faults


def test_on_a_phone(running, visit) -> None:
    """Boards are one list, Select begins a selection, fingers open and go on; targets are large enough."""
    put(running, "phone", 0, 4)
    page = visit("phone", 390, 844, path="#gallery")
    counted(page, "4 pictures")
    expect(page.get_by_role("combobox", name="Boards")).to_be_visible()
    page.get_by_role("button", name="Select", exact=True).tap()
    tiles(page).first.tap()
    expect(page.get_by_role("toolbar", name="1 selected")).to_be_visible()
    small = """[...document.querySelectorAll('.gallery button, .gallery select, .gallery label.pick')]
      .filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect())
      .filter((box) => box.width < 24 || box.height < 24).length"""
    assert page.evaluate(small) == 0
    page.get_by_role("button", name="Clear the selection").tap()
    tiles(page).first.tap()
    expect(page.locator("dialog.viewer")).to_be_visible()
    page.get_by_role("button", name="Next picture").tap()
    expect(page.locator(".whole")).to_have_accessible_name("a red fox 3")


def test_another_persons_pictures_are_not_there(running, visit) -> None:
    """Neither listed nor found, and the page of one never shows what another draws."""
    put(running, "private-one", 0, 2, "a secret")
    page = visit("curious", path="#gallery")
    page.get_by_role("searchbox").fill("secret")
    expect(page.get_by_role("heading", name="No picture says that")).to_be_visible()
    running.draw("private-one", prompt="a secret whale", save_images=True)
    page.wait_for_timeout(500)
    assert "secret whale" not in page.content()


def test_german(running, visit) -> None:
    """All words of the gallery are there in the other language, and days as it writes them."""
    put(running, "german", 1, 2)
    page = visit("german", path="#gallery")
    page.evaluate("localStorage.setItem('easel:language', 'de')")
    page.reload()
    counted(page, "2 Bilder")
    expect(page.locator(".day-head h3")).to_have_text("Gestern")
    tiles(page).first.click()
    expect(page.locator("dialog.viewer dl")).to_contain_text("Schritte")
    assert not re.search(r"gallery\.[a-z]", page.locator("main").inner_text())
