"""Where pictures come from that a mode begins with: dropped, chosen, refused, or a unit of ControlNet."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.studio.ui.conftest import findings, generate_button, until
from tests.studio.ui.gallery_page import put
from tests.studio.ui.modes import choose

MODES = ("image", "sketch", "inpaint", "outpaint", "upscale", "xyz", "batch", "read")
DROP = """
([where, file, name]) => {
  const bytes = Uint8Array.from(atob(file), (one) => one.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, { type: "image/png" }));
  const how = { bubbles: true, cancelable: true, dataTransfer };
  const target = document.querySelector(where);
  for (const kind of ["dragover", "drop"]) target.dispatchEvent(new DragEvent(kind, how));
}
"""


def test_a_dropped_picture_is_read(visit, running, source: Path) -> None:
    """Dropped anywhere, it is asked what is to be done with it: its parameters go into the fields, or it
    becomes the source."""
    answer = running.draw("dropper", prompt="a blue ring on white", steps=3, seed=99)
    page = visit("dropper")
    page.evaluate(DROP, [".bar", answer.json()["images"][0], "ring.png"])
    page.get_by_role("button", name="Read its parameters").click()
    expect(page.locator(".read-parameters dl")).to_contain_text("a blue ring on white")
    assert findings(page) == []
    generate_button(page).click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a blue ring on white")
    expect(page.get_by_label("Seed", exact=True)).to_have_value("99")
    page.evaluate(DROP, [".stage", base64.b64encode(source.read_bytes()).decode(), "halves.png"])
    page.get_by_role("button", name="Use as source").click()
    expect(page.locator("form[data-mode=image]")).to_be_visible()
    expect(page.locator(".source-there").get_by_text("96 × 64")).to_be_visible()
    assert page.faults == []


def test_a_picture_is_described(visit, interrogator_files, source: Path) -> None:
    """In a sentence or in tags, where the endpoint has a file for it; into the prompt when that is wanted."""
    page = visit("describer")
    choose(page, "read")
    page.locator(".source input[type=file]").set_input_files(source)
    describe = page.get_by_role("group", name="Describe this picture")
    describe.get_by_role("button", name="in a sentence").click()
    expect(describe.locator(".words")).to_contain_text(" ")
    words = describe.locator(".words").inner_text()
    assert findings(page) == []
    describe.get_by_role("button", name="Into the prompt").click()
    choose(page, "image")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value(words)
    assert page.faults == []


def test_what_cannot_be_a_source_is_told(visit, tmp_path: Path) -> None:
    """A file that is no picture, and one with too many pixels, before anything is sent."""
    page = visit("refused-source")
    choose(page, "image")
    broken, large = tmp_path / "broken.png", tmp_path / "large.png"
    broken.write_bytes(b"no picture")
    Image.new("1", (8000, 7000)).save(large)
    chosen = page.locator(".source input[type=file]")
    chosen.set_input_files(broken)
    expect(page.locator("#said-source")).to_contain_text("broken.png is no picture")
    chosen.set_input_files(large)
    expect(page.locator("#said-source")).to_contain_text("56 megapixels")
    generate_button(page).click()
    expect(page.locator("#said-source")).to_have_text("A picture to begin with, please.")


def test_control_units(visit, source: Path) -> None:
    """Without a model there is one sentence and the way to Models; with one, a unit is said as A1111's
    extension takes it, and its preprocessor shows what it sees."""
    page = visit("controller")
    page.locator("details.advanced > summary").click()
    expect(page.get_by_role("link", name="Get one under Models")).to_be_visible()
    models = {"model_list": ["canny [0123abcd]"]}
    page.route("**/controlnet/model_list", lambda route: route.fulfill(json=models))
    asked: list[dict] = []

    def refuse(route) -> None:
        asked.append(json.loads(route.request.post_data))
        route.fulfill(status=422, json={"error": "InvalidRequest", "detail": "no", "errors": "no"})

    page.route("**/sdapi/v1/txt2img", refuse)
    page.reload()
    page.get_by_role("button", name="Add a unit").click()
    page.get_by_label("Picture of unit 1").set_input_files(source)
    page.get_by_label("Preprocessor").select_option("canny")
    page.get_by_label("Low Threshold").fill("50")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Show its map").click()
    expect(page.get_by_alt_text("What the preprocessor makes of it")).to_be_visible()
    generate_button(page).click()
    until(page, "document.querySelector('#said-generate')")
    [unit] = asked[0]["alwayson_scripts"]["controlnet"]["args"]
    assert unit["image"].startswith("data:image/png;base64,")
    said = {
        "model": "canny [0123abcd]",
        "module": "canny",
        "weight": 1,
        "threshold_a": 50,
        "processor_res": -1,
    }
    assert {name: unit[name] for name in said} == said


@pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [pytest.param(1280, 800, "light", marks=pytest.mark.slow), (390, 844, "dark")],
)
def test_each_mode_is_sound(
    visit: Callable[..., Page], source: Path, width: int, height: int, scheme: str
) -> None:
    """axe finds nothing, and a phone does not scroll sideways, in any mode, with and without a source."""
    page = visit(f"modes-{scheme}", width, height, scheme)
    for mode in MODES:
        choose(page, mode)
        expect(page.locator(".ask-fields > :not(.soft)").first).to_be_visible()
        assert findings(page) == [], mode
        chooser = page.locator(".source input[type=file]")
        if mode == "image":
            chooser.set_input_files(source)
            expect(page.locator(".source-view img")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, mode
    assert page.faults == []


def test_begin_with_one_of_the_newest(running, visit) -> None:
    """Before there is a source the stage offers what was drawn last: one press, and it is worked on."""
    put(running, "beginner", 0, 1, "a blue ring")
    page = visit("beginner")
    choose(page, "inpaint")
    page.get_by_role("button", name="Begin with: a blue ring 1").click()
    expect(page.locator(".painter canvas").first).to_be_visible()
    expect(page.locator(".source-there")).to_be_visible()
    assert page.faults == []


def test_a_checkpoint_has_its_face_in_the_list(running, visit) -> None:
    """Where the browser shows more than text in a list, each checkpoint has its picture or colours there, and
    is chosen by keys."""
    page = visit("chooser-of-faces")
    select = page.get_by_label("Checkpoint", exact=True)
    names = select.locator("option").count()
    expect(select.locator("option > .face")).to_have_count(names)
    select.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    with page.expect_response("**/studio/checkpoint"):
        page.keyboard.press("Enter")
    expect(select).to_have_value("second.safetensors")
    expect(select.locator("option > .face")).to_have_count(names)
    assert page.faults == []
