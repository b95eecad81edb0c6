"""What helps while a prompt is typed, and the words and settings that are kept under a name."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from easel.models import Kind
from tests.studio.conftest import STARTER
from tests.studio.ui.conftest import ask_small, findings, generate_button
from tests.studio.ui.modes import choose

LORA = STARTER.with_name("easel-starter-lora.safetensors")
INFOTEXT = """a red ring on white
Negative prompt: blurry
Steps: 2, Sampler: Euler, CFG scale: 5.5, Seed: 4711, Size: 64x64, ENSD: 31337, Token merging ratio: 0.5"""


@pytest.fixture
def words(running):
    """A wildcard file and a person's own style, for as long as the test looks."""
    folder = running.studio.engine.store.root / "wildcards"
    folder.mkdir(exist_ok=True)
    (folder / "shades.txt").write_text("red\nblue\n")
    yield
    (folder / "shades.txt").unlink()


def prompt(page: Page):
    """The field."""
    return page.get_by_label("Prompt", exact=True)


def test_names_are_completed(words, visit) -> None:
    """A list under the word that is typed; arrows choose, Enter takes, Escape closes and stops nothing."""
    page = visit("typist")
    prompt(page).press_sequentially("a __sha")
    offers = page.get_by_role("listbox", name="Suggestions")
    expect(offers.get_by_role("option")).to_have_text([re.compile(r"^\s*shades\s+wildcard")])
    expect(prompt(page)).to_have_attribute("aria-activedescendant", re.compile("offer-0$"))
    assert findings(page) == []
    page.keyboard.press("Enter")
    expect(prompt(page)).to_have_value("a __shades__")
    expect(offers).to_have_count(0)
    prompt(page).press_sequentially(" __sha")
    expect(offers).to_be_visible()
    page.keyboard.press("Escape")
    expect(offers).to_have_count(0)
    expect(prompt(page)).to_have_value("a __shades__ __sha")
    assert page.faults == []


def test_a_lora_is_completed_from_its_first_letter_on(running, visit) -> None:
    """Wherever one is on the way to its tag, what is typed is replaced by the whole of it."""
    store = running.studio.engine.store
    folder = store.folder(Kind.LORA)
    folder.mkdir(exist_ok=True)
    (folder / LORA.name).symlink_to(LORA)
    store.refresh()
    try:
        page = visit("tagger")
        offers = page.get_by_role("listbox", name="Suggestions")
        for typed in ("<", "<lo", "<lora:", "<lora:start", "<starter"):
            prompt(page).fill("")
            prompt(page).press_sequentially(f"a star {typed}")
            expect(offers.get_by_role("option").first).to_contain_text("easel-starter-lora")
            page.keyboard.press("Enter")
            expect(prompt(page)).to_have_value(re.compile("^a star <lora:easel-starter-lora:1>[^<]*$"))
        assert page.faults == []
    finally:
        (folder / LORA.name).unlink()
        store.refresh()


def test_tokens_and_brackets_are_told(visit) -> None:
    """How many there are, and which bracket does not close; nothing of it is an error."""
    page = visit("counter")
    prompt(page).fill("a (large star [on blue")
    expect(page.locator(".tokens").first).to_have_text(re.compile(r"^\d/75$"))
    expect(page.get_by_text("Not closed, so it counts as text: ( [")).to_be_visible()
    expect(page.locator(".marks mark.unclosed")).to_have_text(["(", "["])
    prompt(page).fill("word " * 80)
    expect(page.locator(".tokens").first).to_have_text("80/150")
    expect(page.locator(".marks mark.break")).to_have_count(1)


def test_weights_by_keys(visit) -> None:
    """Ctrl and an arrow: the word at the cursor weighs a tenth more or less, as in A1111; at 1 they go."""
    page = visit("weigher")
    prompt(page).fill("a red cat")
    prompt(page).evaluate("(one) => one.setSelectionRange(3, 3)")
    page.keyboard.press("Control+ArrowUp")
    expect(prompt(page)).to_have_value("a (red:1.1) cat")
    page.keyboard.press("Control+ArrowUp")
    expect(prompt(page)).to_have_value("a (red:1.2) cat")
    page.keyboard.press("Control+ArrowDown")
    page.keyboard.press("Control+ArrowDown")
    expect(prompt(page)).to_have_value("a red cat")


def test_loras_are_chips(visit) -> None:
    """Each with its weight; what is moved is written into the prompt, what is taken out leaves it."""
    page = visit("chips")
    prompt(page).fill("a star <lora:chalk:0.5> on blue <lora:other:1:0.2>")
    chips = page.get_by_role("list", name="LoRAs in the prompt").get_by_role("listitem")
    expect(chips).to_have_count(2)
    page.get_by_role("slider", name="Weight of chalk").fill("0.8")
    expect(prompt(page)).to_have_value("a star <lora:chalk:0.8> on blue <lora:other:1:0.2>")
    page.get_by_role("slider", name="Weight of other").fill("0.5")
    expect(prompt(page)).to_have_value("a star <lora:chalk:0.8> on blue <lora:other:0.5:0.2>")
    page.get_by_role("button", name="Take chalk out").click()
    expect(prompt(page)).to_have_value("a star on blue <lora:other:0.5:0.2>")


def test_styles_and_presets_are_kept(visit) -> None:
    """A style of the words that are written, with the look of what was drawn with it; a preset of everything
    else; both on another device, too. Earlier prompts come back by Alt and an arrow."""
    page = visit("keeper")
    ask_small(page, "pale, chalk", steps=2)
    page.get_by_role("button", name="Keep the words as a style…").click()
    dialog = page.get_by_role("dialog", name="Keep the words as a style…")
    dialog.get_by_label("Name").fill("Chalky")
    dialog.get_by_role("button", name="Keep").click()
    style = page.get_by_role("group", name="Styles").get_by_role("button", name="Chalky")
    style.click()
    expect(style).to_have_attribute("aria-pressed", "true")
    prompt(page).fill("a red circle on blue")
    with page.expect_request(re.compile("/sdapi/v1/txt2img$")) as sent:
        generate_button(page).click()
    assert sent.value.post_data_json["styles"] == ["Chalky"]
    expect(style.locator("img")).to_be_visible()
    # It stands under the prompt as well, and comes back by a few letters of its name.
    page.get_by_role("button", name="Draw without the style Chalky").click()
    expect(style).to_have_attribute("aria-pressed", "false")
    prompt(page).press_sequentially(" chal")
    page.get_by_role("option", name=re.compile("Chalky")).click()
    expect(prompt(page)).to_have_value("a red circle on blue ")
    expect(style).to_have_attribute("aria-pressed", "true")
    prompt(page).fill("a red circle on blue")
    page.get_by_label("Name for these settings").fill("quick")
    page.get_by_role("button", name="Keep settings").click()
    steps = page.get_by_label("Steps", exact=True)
    steps.fill("30")
    page.reload()
    expect(steps).to_have_value("30")
    page.get_by_role("button", name="quick", exact=True).click()
    expect(steps).to_have_value("2")
    expect(prompt(page)).to_have_value("a red circle on blue")
    prompt(page).fill("something else")
    prompt(page).press("Alt+ArrowUp")
    expect(prompt(page)).to_have_value("a red circle on blue")
    other = visit("keeper")
    other.locator("details.advanced > summary").click()
    for kept in (
        other.get_by_role("group", name="Styles").get_by_role("button", name="Chalky"),
        other.locator(".presets li", has_text="quick"),
    ):
        expect(kept.locator("img")).to_be_visible()
        assert kept.locator("img").evaluate("(one) => one.decode().then(() => one.naturalWidth)") > 0
    assert page.faults == other.faults == []


def test_a_pasted_infotext_fills_the_fields(visit) -> None:
    """As a prompt and in Read. What no field here has is sent all the same, shown, and can be taken out; what
    is not followed is told."""
    page = visit("paster")
    prompt(page).fill(INFOTEXT)
    page.get_by_role("button", name="Fill the fields").click()
    expect(prompt(page)).to_have_value("a red ring on white")
    expect(page.get_by_label("Negative prompt", exact=True)).to_have_value("blurry")
    expect(page.get_by_label("Seed", exact=True)).to_have_value("4711")
    expect(page.locator(".notices")).to_contain_text(
        "Token merging ratio '0.5' of the infotext was not followed"
    )
    kept = page.get_by_role("group", name="Also from what was read")
    expect(kept).to_contain_text("eta_noise_seed_delta: 31337")
    assert findings(page) == []
    with page.expect_response(re.compile("/sdapi/v1/txt2img$")) as answer:
        generate_button(page).click()
    assert answer.value.status == 202, answer.value.text()
    sent = json.loads(answer.value.request.post_data)
    assert (sent["steps"], sent["width"], sent["cfg_scale"]) == (2, 64, 5.5)
    assert int(sent["override_settings"]["eta_noise_seed_delta"]) == 31337
    kept.get_by_role("button", name="Draw without eta_noise_seed_delta").click()
    expect(kept.get_by_text("eta_noise_seed_delta")).to_have_count(0)
    choose(page, "read")
    page.get_by_label("Or its text").fill(INFOTEXT.replace("4711", "4712"))
    expect(page.locator(".read-parameters dl")).to_contain_text("4712")
    generate_button(page).click()
    expect(page.get_by_label("Seed", exact=True)).to_have_value("4712")
    assert page.faults == []
