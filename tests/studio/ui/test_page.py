"""The page in a real browser: from a prompt to a picture, for several people at once."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.studio.ui.conftest import until

PROGRESS = "#stage [role=progressbar]"
TEXT = "#parameters textarea"


def number(page: Page, field: str, value: int) -> None:
    box = page.locator(f"#{field} input[type=number]")
    box.fill(str(value))
    box.press("Tab")


def lengthy(page: Page, prompt: str) -> None:
    """A picture that is still being drawn when a test has looked at it."""
    quick(page, prompt, steps=150)
    number(page, "width", 384)
    number(page, "height", 384)


def quick(page: Page, prompt: str, steps: int = 3) -> None:
    """A small picture of a few steps."""
    for field, value in {"width": 64, "height": 64, "steps": steps}.items():
        number(page, field, value)
    page.locator("#prompt textarea").fill(prompt)


def text(page: Page) -> str:
    return page.locator(TEXT).input_value()


def shown(page: Page, what: str) -> None:
    """Something fitting this pattern is or was on the stage since the page was opened."""
    until(page, "pattern => (window.shownOnStage ?? []).some(one => new RegExp(pattern).test(one))", what)


def test_from_prompt_to_picture(running, visit) -> None:
    """Type, press Generate: progress, then the picture with its parameters; and the file is saved."""
    page = visit("painter")
    assert page.locator("#checkpoint input").input_value().startswith("easel-starter")
    quick(page, "a red circle on blue", steps=40)
    page.locator("#seed input").fill("42")
    page.locator("#generate").click()
    shown(page, 'role="progressbar"')
    shown(page, r'step \d+ of 40\b.*<img src="data:image/jpeg')
    expect(page.locator(TEXT)).to_have_value(re.compile(r"a red circle on blue\nSteps: 40, .*Seed: 42,"))
    picture = page.locator("#gallery img").first
    expect(picture).to_be_visible()
    until(page, "() => document.querySelector('#gallery img').complete")
    assert picture.evaluate("one => [one.naturalWidth, one.naturalHeight]") == [64, 64]
    # A small picture is shown large.
    assert picture.evaluate("one => one.clientWidth") > 300
    (saved,) = running.studio.outputs.recent("painter")
    assert saved.name == "00001-42.png"
    expect(page.locator(PROGRESS)).to_have_count(0)
    expect(page.locator("#interrupt")).to_be_disabled()
    assert page.faults == []

    page.reload()
    expect(page.locator(TEXT)).to_have_value(re.compile("Seed: 42,"))
    page.locator("#reuse").click()
    expect(page.locator("#seed input")).to_have_value("42")
    page.locator("#random").click()
    expect(page.locator("#seed input")).to_have_value("-1")
    page.locator("#use").click()
    expect(page.locator("#steps input[type=number]")).to_have_value("40")
    expect(page.locator("#prompt textarea")).to_have_value("a red circle on blue")


def test_one_click_for_a_newcomer(visit) -> None:
    """With the starter, Generate on an untouched page draws the example that the prompt field shows."""
    page = visit("newcomer")
    hint = page.locator("#prompt textarea").get_attribute("placeholder")
    assert page.locator("#width input[type=number]").input_value() == "128"
    assert page.locator("#steps input[type=number]").input_value() == "20"
    page.locator("#generate").click()
    expect(page.locator(TEXT)).to_have_value(re.compile("Steps: 20, Sampler: Euler a"))
    assert text(page).split("\n")[0] in str(hint)
    expect(page.locator("#prompt textarea")).to_have_value(text(page).split("\n")[0])


def test_keys_and_examples(visit) -> None:
    """An example fills the prompt, Ctrl+Enter generates with what was typed last."""
    page = visit("typist")
    quick(page, "")
    page.locator("#example-1").click()
    expect(page.locator("#prompt textarea")).not_to_have_value("")
    page.locator("#steps input[type=number]").fill("4")
    page.keyboard.press("Control+Enter")
    expect(page.locator(TEXT)).to_have_value(re.compile("Steps: 4,"))


def test_interrupt(running, visit) -> None:
    """Interrupt ends the job at once and shows how far it came; the next one draws as ever."""
    page = visit("stopper")
    lengthy(page, "a long story")
    page.locator("#generate").click()
    shown(page, "<img ")
    began = time.monotonic()
    page.locator("#interrupt").click()
    expect(page.locator("#stage .notice")).to_contain_text("Interrupted")
    assert time.monotonic() - began < 20
    assert running.studio.engine.jobs("stopper") == []
    quick(page, "short")
    page.locator("#generate").click()
    expect(page.locator(TEXT)).to_have_value(re.compile("^short\n"))


def test_two_people(running, visit) -> None:
    """Two people draw side by side; neither sees the other's pictures, nor stops the other's job."""
    ada, bob = visit("ada-ui"), visit("bob-ui")
    quick(ada, "a purple heart", steps=150)
    number(ada, "width", 128)
    ada.locator("#generate").click()
    shown(ada, 'role="progressbar"')
    quick(bob, "a black square")
    bob.locator("#generate").click()
    expect(bob.locator(TEXT)).to_have_value(re.compile("a black square"))
    assert "a purple heart" not in bob.content()
    assert bob.locator("#gallery img").count() >= 1
    assert "a black square" not in ada.content()
    # As the page's own keys do it: nothing happens where the job has ended by now.
    ada.locator("#interrupt").evaluate("button => button.click()")
    expect(ada.locator(TEXT)).to_have_value(re.compile("a purple heart"))
    assert {path.name for path in running.studio.outputs.recent("bob-ui")}.isdisjoint(
        {path.name for path in running.studio.outputs.recent("ada-ui")}
    )


def test_closing_the_tab_ends_the_job(running, visit) -> None:
    """Nobody waits for the picture of a closed tab, so it is not drawn on."""
    page = visit("leaver-ui")
    lengthy(page, "x")
    page.locator("#generate").click()
    shown(page, 'role="progressbar"')
    assert running.studio.engine.jobs("leaver-ui") != []
    page.close()
    until = time.monotonic() + 30
    while running.studio.engine.jobs("leaver-ui") and time.monotonic() < until:
        time.sleep(0.1)
    assert running.studio.engine.jobs("leaver-ui") == []


def test_checkpoints(running, visit) -> None:
    """A file put into the folder appears after Reload, can be chosen, stays chosen, and is drawn with."""
    page = visit("switcher")
    folder = running.home / "models" / "Stable-diffusion"
    added = folder / "added.safetensors"
    added.write_bytes((folder / "second.safetensors").read_bytes())
    try:
        page.locator("#reload").click()
        expect(page.get_by_text(re.compile(r"Found: \d+ checkpoints"))).to_be_visible()
        page.locator("#checkpoint input").click()
        page.get_by_role("option", name=re.compile("^added")).click()
        quick(page, "x")
        page.locator("#generate").click()
        expect(page.locator(TEXT)).to_have_value(re.compile("Model: added,"))
        page.reload()
        expect(page.locator("#checkpoint input")).to_have_value(re.compile("^added"))
    finally:
        added.unlink()
        running.studio.engine.store.refresh()
    page.reload()
    expect(page.locator("#stage .notice.bad")).to_contain_text("Choose another checkpoint")


def test_a_broken_checkpoint_is_told(visit) -> None:
    """A file that is cut short: the page says so in words, and goes on with the others."""
    page = visit("unlucky")
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name=re.compile("^short")).click()
    quick(page, "x")
    page.locator("#generate").click()
    expect(page.locator("#stage .notice.bad")).to_contain_text("cut short")


def test_parameters_of_a_file(running, visit, tmp_path: Path) -> None:
    """Parameters are read from a picture file, and from a text pasted into the prompt."""
    made = running.draw(
        "maker", prompt="two stars", steps=5, seed=99, save_images=True, negative_prompt="dull"
    )
    assert made.status_code == 200
    (path,) = running.studio.outputs.recent("maker")
    page = visit("reader")
    page.get_by_text("Read parameters from a picture file").click()
    page.locator("#file input[type=file]").set_input_files(path)
    expect(page.locator("#prompt textarea")).to_have_value("two stars")
    expect(page.locator("#negative textarea")).to_have_value("dull")
    expect(page.locator("#seed input")).to_have_value("99")
    expect(page.locator("#width input[type=number]")).to_have_value("64")
    page.locator("#prompt textarea").fill(
        "three hearts\nSteps: 9, Sampler: DDIM, CFG scale: 3, Seed: 5, Size: 72x80"
    )
    page.locator("#read").click()
    expect(page.locator("#prompt textarea")).to_have_value("three hearts")
    expect(page.locator("#height input[type=number]")).to_have_value("80")
    page.locator("#swap").click()
    expect(page.locator("#height input[type=number]")).to_have_value("72")
    expect(page.locator("#width input[type=number]")).to_have_value("80")


def test_names_and_prompts_are_text(visit) -> None:
    """A prompt full of HTML is drawn and shown as text."""
    page = visit("tester")
    quick(page, "<img src=x onerror=\"document.title='hacked'\"> & <b>bold</b>")
    page.locator("#generate").click()
    expect(page.locator(TEXT)).to_have_value(re.compile("^<img src=x"))
    assert page.title() != "hacked"
    assert page.locator("#stage b").count() == 0


@pytest.mark.parametrize(("width", "height", "scheme"), [(1280, 900, "light"), (390, 844, "dark")])
def test_fits_and_fetches_nothing(running, visit, width, height, scheme) -> None:
    """On a desk and on a phone: nothing sticks out, Generate is in reach, no request leaves this machine."""
    for _ in range(max(0, 8 - len(running.studio.outputs.recent("looker")))):
        running.draw("looker", save_images=True, prompt="long words " * 20)
    page = visit("looker", width, height, scheme)
    expect(page.locator("#gallery img").first).to_be_visible()
    page.wait_for_timeout(1500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    button = page.locator("#generate").bounding_box()
    assert button is not None
    assert button["y"] + button["height"] <= height
    assert button["height"] >= 40
    elsewhere = [one for one in page.asked if not one.startswith((running.url, "data:", "blob:"))]
    assert elsewhere == []
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input, textarea')].filter(one => one.offsetParent
        && !(one.labels?.length || one.ariaLabel || one.title || one.textContent.trim()
        || one.placeholder)).map(one => one.outerHTML.slice(0, 200))"""
    )
    assert unnamed == []
