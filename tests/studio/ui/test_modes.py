"""The modes of Create that begin with a picture: each draws for real, and is judged by what the API was sent
and by the pixels that came."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from easel.studio.api.scripts.plot_axes import AXES
from tests.studio.ui.conftest import BLUE, YELLOW, generate_button, until
from tests.studio.ui.modes import begin, brush, choose, drawn, pixels, quick, stroke
from tests.studio.ui.test_create import tickets

WEB = Path(__file__).parents[3] / "image" / "easel" / "studio" / "ui" / "web"
# Whether all that was painted lies in the browser's database, which takes its time.
KEPT = "!Object.keys(localStorage).some((one) => one.startsWith('easel-left:'))"


def test_picture_to_picture(visit, source: Path) -> None:
    """The source is sent at its own size with how much may change, and what comes of little is like it."""
    page = visit("image-mode")
    begin(page, "image", source, steps=4)
    page.get_by_label("Denoising strength", exact=True).fill("0.1")
    # The size has a name, and is not one that somebody typed.
    expect(page.get_by_role("button", name="Picture's 3:2")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Custom", exact=True)).to_have_attribute("aria-pressed", "false")
    sent, [picture] = drawn(page)
    assert (sent["width"], sent["height"]) == (96, 64)
    assert (sent["denoising_strength"], sent["resize_mode"]) == (0.1, 0)
    assert (pixels(sent["init_images"][0]) == pixels(source.read_bytes())).all()
    assert picture.shape == (64, 96, 3)
    assert np.abs(picture[:, 8:40].mean((0, 1)) - BLUE).max() < 60
    assert np.abs(picture[:, 56:88].mean((0, 1)) - YELLOW).max() < 60
    assert page.faults == []


def test_a_picture_of_a_picture_is_varied_as_one(running, visit, source: Path) -> None:
    """Vary draws over the same source again, by another variation seed; where nobody kept the source, it says
    so, and varies the words."""
    page = visit("varies-a-picture")
    begin(page, "image", source)
    page.get_by_label("Denoising strength", exact=True).fill("0.3")
    sent, _ = drawn(page)
    vary = page.get_by_role("button", name="Vary", exact=True)
    with page.expect_response(re.compile("/sdapi/v1/img2img$")) as answer:
        vary.click()
    assert answer.value.status == 202
    asked = json.loads(answer.value.request.post_data)
    assert asked["init_images"] == sent["init_images"]
    assert (asked["denoising_strength"], asked["subseed"], asked["subseed_strength"]) == (0.3, -1, 0.2)
    assert (asked["width"], asked["height"]) == (96, 64)
    expect(page.locator(".film li:not(.all)")).to_have_count(2)
    expect(tickets(page)).to_have_count(0)
    owner = running.studio.outputs.owned("varies-a-picture")
    for one in owner.glob("*/.gallery/sent/*"):
        one.unlink()
    with page.expect_response(re.compile("/sdapi/v1/txt2img$")):
        vary.click()
    expect(page.locator(".notices")).to_contain_text("is not kept any more")
    expect(page.locator(".film li:not(.all)")).to_have_count(3)
    # The console tells of a 404 by itself.
    assert [one for one in page.faults if "404" not in one] == []


def test_inpainting_changes_only_what_was_painted(visit, source: Path) -> None:
    """The mask is white where the mouse went; nothing else of the picture changes; keys undo and redo; the
    source and its mask are there again after a reload at the very moment of the last stroke, and after the
    next."""
    page = visit("inpaint-mode")
    begin(page, "inpaint", source)
    generate_button(page).click()
    expect(page.locator("#said-source")).to_have_text("Paint over what shall be drawn anew.")
    brush(page, 16)
    page.get_by_label("Mask blur", exact=True).fill("0")
    stroke(page, (0.6, 0.2), (0.9, 0.2))
    stroke(page, (0.1, 0.8), (0.4, 0.8))
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    for _ in range(2):
        page.reload()
        expect(page.locator(".painter canvas")).to_be_visible()
        expect(page.get_by_text("halves.png")).to_be_visible()
        until(page, "document.querySelector('.painter img')?.naturalWidth === 96")
        until(page, KEPT)
    sent, [picture] = drawn(page)
    mask = pixels(sent["mask"])[:, :, 0]
    assert mask.shape == (64, 96)
    assert mask[13, 60:84].min() > 250
    assert mask[30:].max() == 0
    assert mask[:, :45].max() == 0
    before = pixels(source.read_bytes())
    untouched = mask == 0
    assert np.abs(picture - before)[untouched].max() <= 2
    assert np.abs(picture - before)[~untouched].mean() > 4
    assert page.faults == []


def test_only_masked_soft_inpainting(visit, source: Path) -> None:
    """What A1111's fields and its script are called, in A1111's order."""
    page = visit("soft-mode")
    begin(page, "inpaint", source)
    page.get_by_role("button", name="Only masked").click()
    page.get_by_label("Soft inpainting").check()
    page.get_by_label("Padding").fill("8")
    stroke(page, (0.3, 0.5), (0.6, 0.5))
    sent, pictures = drawn(page)
    assert sent["inpaint_full_res"] is True
    assert (sent["inpaint_full_res_padding"], sent["inpainting_fill"]) == (8, 1)
    assert sent["alwayson_scripts"]["Soft Inpainting"]["args"] == [True, 1, 0.5, 4, 0, 0.5, 2]
    assert pictures[0].shape == (64, 96, 3)


def test_keys_paint(visit, source: Path) -> None:
    """Without a mouse: the brush is moved, put down and lifted by keys, and its size is changed by brackets;
    the eraser takes away what is there."""
    page = visit("key-painter")
    begin(page, "inpaint", source)
    canvas = page.locator(".painter")
    canvas.focus()
    size = page.locator(".brush-size output")
    before = int(size.inner_text())
    page.keyboard.press("]")
    assert int(size.inner_text()) > before
    for _ in range(9):
        page.keyboard.press("[")
    canvas.press("Enter")
    for _ in range(4):
        canvas.press("ArrowRight")
    canvas.press("Enter")
    painted = """document.querySelector('.painter canvas').getContext('2d').getImageData(0, 0, 96, 64).data
        .filter((one, place) => place % 4 === 3 && one > 127).length"""
    count = page.evaluate(painted)
    assert count > 50
    canvas.press("e")
    expect(page.get_by_role("button", name="Eraser")).to_have_attribute("aria-pressed", "true")
    stroke(page, (0.4, 0.5), (0.5, 0.5))
    assert 0 < page.evaluate(painted) < count
    canvas.press("Delete")
    assert page.evaluate(painted) == 0
    page.keyboard.press("Control+z")
    assert 0 < page.evaluate(painted) < count
    page.get_by_role("button", name="Invert the mask").click()
    assert page.evaluate(painted) > 96 * 64 - count
    assert page.faults == []


def test_a_sketchs_colours_arrive(visit, source: Path) -> None:
    """What is sent is the source with the paint on it; on an empty canvas it is the paint on white."""
    page = visit("sketcher")
    choose(page, "sketch")
    quick(page)
    brush(page, 30)
    page.get_by_label("Colour", exact=True).fill("#00ff00")
    stroke(page, (0.2, 0.5), (0.8, 0.5))
    sent, _ = drawn(page)
    empty = pixels(sent["init_images"][0])
    height, width, _ = empty.shape
    assert (empty[height // 2, width // 2] == (0, 255, 0)).all()
    assert (empty[2, 2] == 255).all()
    page.get_by_role("button", name="Source", exact=True).click()
    page.locator(".source input[type=file]").set_input_files(source)
    expect(page.get_by_text("halves.png")).to_be_visible()
    brush(page, 12)
    stroke(page, (0.1, 0.25), (0.9, 0.25))
    sent, _ = drawn(page)
    painted = pixels(sent["init_images"][0])
    assert painted.shape == (64, 96, 3)
    assert (painted[16, 20:76] == (0, 255, 0)).all()
    assert (painted[40:] == pixels(source.read_bytes())[40:]).all()
    assert page.faults == []


@pytest.mark.slow
def test_outpainting_is_larger_by_what_was_asked(visit, source: Path) -> None:
    """A side is pulled out by keys, another by the mouse; the frame says the size, the result has it, and the
    source stands in it as it was. A1111's script is asked by its arguments in their order, and what comes is
    the picture that it joins."""
    page = visit("outpainter")
    begin(page, "outpaint", source)
    generate_button(page).click()
    expect(page.locator("#said-sides")).to_contain_text("Pull a side out")
    page.get_by_role("slider", name="Right").press("ArrowRight")
    page.get_by_role("slider", name="Right").press("ArrowRight")
    handle = page.get_by_role("slider", name="Top").bounding_box()
    assert handle
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] - 60, steps=4)
    page.mouse.up()
    top = int(page.get_by_role("slider", name="Top").get_attribute("aria-valuenow") or 0)
    assert top > 0
    expect(page.locator(".grown output")).to_have_text(f"{96 + 16} × {64 + top}")
    page.get_by_label("Seam blur", exact=True).fill("0")
    sent, [picture] = drawn(page)
    assert picture.shape == (64 + top, 96 + 16, 3)
    assert np.abs(picture[top:, :96] - pixels(source.read_bytes())).max() <= 2
    assert pixels(sent["mask"])[: top - 1].min() == 255
    page.get_by_role("button", name="Source", exact=True).click()
    page.get_by_label("Way", exact=True).select_option("mk2")
    page.get_by_role("checkbox", name="Top").uncheck()
    page.get_by_label("Pixels on each", exact=True).fill("64")
    expect(page.locator(".grown output")).to_have_text("192 × 64")
    sent, [picture] = drawn(page)
    assert sent["script_name"] == "outpainting mk2"
    assert sent["script_args"] == [None, 64, 0, ["right"], 1, 0.05]
    assert picture.shape == (64, 192, 3)
    assert page.faults == []


def test_upscaling_one_and_several(visit, source: Path) -> None:
    """One picture by a factor, several to a size, by A1111's two routes."""
    page = visit("upscaler")
    begin(page, "upscale", source)
    expect(page.get_by_text("96 × 64 becomes 192 × 128")).to_be_visible()
    page.get_by_label("Upscaler", exact=True).select_option("Nearest")
    sent, [picture] = drawn(page, "extra-single-image")
    assert picture.shape == (128, 192, 3)
    assert (sent["upscaling_resize"], sent["upscaler_1"]) == (2, "Nearest")
    page.locator(".source input[type=file]").set_input_files([source, source])
    expect(page.locator(".source-list li")).to_have_count(3)
    page.get_by_role("button", name="To size").click()
    page.get_by_label("Width", exact=True).fill("128")
    page.get_by_label("Height", exact=True).fill("128")
    sent, pictures = drawn(page, "extra-batch-images")
    assert len(sent["imageList"]) == 3
    assert [one.shape for one in pictures] == [(128, 128, 3)] * 3
    assert page.faults == []


def test_a_plot_has_a_cell_for_each_combination(visit) -> None:
    """Values are typed or chosen, the number of pictures is told before, and what cannot be is told beside
    its axis."""
    page = visit("plotter")
    choose(page, "xyz")
    quick(page)
    values = page.get_by_label("X: values", exact=True)
    values.fill("1, two")
    generate_button(page).click()
    expect(page.locator("#said-x_values")).to_contain_text("Whole numbers")
    values.fill("1-2")
    page.get_by_label("Y: what to vary").select_option("Sampler")
    for name in ("Euler", "DDIM", "LCM"):
        page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_text("6 pictures")).to_be_visible()
    page.get_by_role("button", name="Swap X and Y").click()
    page.get_by_text("The grid itself").click()
    page.get_by_label("Also each picture by itself").check()
    sent, pictures = drawn(page, "txt2img")
    assert sent["script_name"] == "x/y/z plot"
    assert sent["script_args"][:6] == ["Sampler", "Euler, DDIM, LCM", None, "Steps", "1-2", None]
    sizes = sorted(one.shape[0] * one.shape[1] for one in pictures)
    assert len(sizes) == 7
    assert sizes[-1] >= 6 * sizes[0]
    assert page.faults == []


def test_the_axes_are_those_of_the_script() -> None:
    """Each axis that the page offers is one of the studio's, of the same kind, and of the same tab."""
    axes = (WEB / "editor" / "axes.js").read_text()
    offered = re.findall(r'label: "([^"]+)", kind: "(\w+)"(?:, tab: "(\w+)")?', axes)
    kinds = {int: "whole", float: "number", str: "words"}
    known = {(one.label, kinds[one.kind]) for one in AXES}
    tabs = {one.label: {two.tab for two in AXES if two.label == one.label} for one in AXES}
    assert len(offered) > 30
    for label, kind, tab in offered:
        assert (label, kind) in known
        assert tabs[label] == {tab or None} or not tab


def test_each_element_has_a_name_of_its_own() -> None:
    """Places are loaded one after the other, and a browser refuses the second element of a name."""
    found = [
        name
        for path in WEB.rglob("*.js")
        for name in re.findall(r'customElements\.define\("([^"]+)"', path.read_text())
    ]
    assert len(found) > 40
    assert sorted(found) == sorted(set(found))


def test_batches(visit, source: Path) -> None:
    """Each source is a request of its own at its own size; lines are one request of A1111's script."""
    page = visit("batcher")
    begin(page, "batch", source)
    page.locator(".source input[type=file]").set_input_files([source])
    expect(page.locator(".source-list li")).to_have_count(2)
    asked = []
    page.on("request", lambda one: asked.append(one) if one.url.endswith("/img2img") else None)
    drawn(page)
    until(page, "!document.querySelector('.queue .ticket')")
    assert [json.loads(one.post_data)["width"] for one in asked] == [96, 96]
    page.get_by_role("button", name="Prompts", exact=True).click()
    page.get_by_label("Prompts, one a line").fill("a red circle\n\na green square --steps\n")
    expect(page.get_by_text("2 lines")).to_be_visible()
    sent, pictures = drawn(page, "txt2img")
    assert sent["script_name"] == "prompts from file or textbox"
    assert sent["script_args"] == [False, False, "start", "a red circle\na green square --steps"]
    assert len(pictures) == 2
    assert page.faults == []
