"""Models on the page: what fits, into the prompt and out again, notes and names, new ones by themselves."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.studio import networks
from tests.studio.ui.conftest import findings, until

pytestmark = pytest.mark.timeout(400)
MARKUP = "<img src=x onerror=window.hurt=1>"
# As tall as a phone's page of cards, and a table of them on a desktop.
WIDTHS = [1280, 390]


def fitting(width: int = 64) -> dict[str, torch.Tensor]:
    """A LoRA for what attends to texts of `width`: 64 is the starter, 2048 SDXL. Not for drawing."""
    return {"lora_unet_x_attn2_to_k.lora_down.weight": torch.zeros(4, width)}


@pytest.fixture(scope="module")
def models(running) -> Iterator[Path]:
    """LoRAs that fit and that do not, one with preview and words and one with a name made to break a page."""
    root = running.home / "models"
    networks.write(root / "Lora/art/chalk.safetensors", networks.kohya(networks.pairs(1)))
    Image.new("RGB", (640, 480), "pink").save(root / "Lora/art/chalk.preview.png")
    info = {"trainedWords": ["chalk style", MARKUP], "baseModel": "Easel starter", "modelId": 4384, "id": 1}
    (root / "Lora/art/chalk.civitai.info").write_text(json.dumps(info))
    networks.write(root / "Lora/film grain.safetensors", fitting(2048))
    networks.write(root / 'Lora/"quoted" & <b>bold.safetensors', fitting())
    networks.write(root / "embeddings/bad-shapes.safetensors", {"emb_params": networks.embedding()})
    networks.write(root / "VAE/own.safetensors", networks.own_vae())
    running.studio.engine.store.refresh()
    yield root
    for folder in ("Lora", "embeddings", "VAE"):
        shutil.rmtree(root / folder)
    running.studio.engine.store.refresh()


@pytest.fixture
def place(models: Path, visit: Callable[..., Page]) -> Callable[..., Page]:
    """The place Models, as somebody opens it."""

    def opened(owner: str, width: int = 1280, **how: object) -> Page:
        page = visit(owner, width=width, path="#models", **how)
        expect(page.locator("easel-model-card").first).to_be_visible()
        return page

    return opened


def card(page: Page, name: str) -> Locator:
    return page.locator(f"article.model[data-name='{name}']")


def detail(page: Page, label: str) -> Locator:
    page.get_by_role("button", name=f"About {label}", exact=True).click()
    dialog = page.get_by_role("dialog", name=label, exact=True)
    expect(dialog).to_be_visible()
    return dialog


def prompt(page: Page) -> Locator:
    return page.get_by_label("Prompt", exact=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_lora_goes_into_the_prompt_and_out_again(place, width) -> None:
    """With its trained word, at the weight that is preferred; taken out whatever weight it has got."""
    page = place(f"collector-{width}", width)
    chalk = card(page, "art/chalk.safetensors")
    until(page, "document.querySelector('article.model img').naturalWidth > 0")
    chalk.get_by_role("button", name="Use: chalk").click()
    expect(prompt(page)).to_have_value("<lora:chalk:1>, chalk style")
    prompt(page).fill("a red circle <lora:chalk:0.4>, blue")
    page.get_by_role("link", name="Models").click()
    chalk.get_by_role("button", name="In the prompt: chalk").click()
    page.get_by_role("link", name="Create").click()
    expect(prompt(page)).to_have_value("a red circle, blue")
    assert page.evaluate("window.hurt") is None
    assert page.faults == []


def test_what_was_written_goes_with_it(place) -> None:
    """Words, negative words and weight that one person wrote are used by everybody who uses it."""
    page = place("writer")
    dialog = detail(page, "chalk")
    dialog.get_by_label("Words that call it").fill("chalk, dust")
    dialog.get_by_label("Words for the negative prompt").fill("photo")
    dialog.get_by_label("Preferred weight").fill("0.7")
    dialog.get_by_label("Notes for everybody").fill(MARKUP)
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved for everybody")).to_be_visible()
    other = place("reader")
    dialog = detail(other, "chalk")
    expect(dialog.get_by_label("Notes for everybody")).to_have_value(MARKUP)
    dialog.get_by_role("button", name="Use: chalk").click()
    expect(prompt(other)).to_have_value("<lora:chalk:0.7>, chalk, dust")
    assert other.evaluate("window.hurt") is None


def test_trained_words_are_pressed(place) -> None:
    """A word goes into the prompt, and out again; markup in one is text."""
    page = place("presser")
    dialog = detail(page, "chalk")
    word = dialog.get_by_role("button", name="chalk style")
    word.click()
    expect(word).to_have_attribute("aria-pressed", "true")
    expect(dialog.get_by_role("button", name=MARKUP)).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Create").click()
    expect(prompt(page)).to_have_value("chalk style")
    page.get_by_role("link", name="Models").click()
    detail(page, "chalk").get_by_role("button", name="chalk style").click()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Create").click()
    expect(prompt(page)).to_have_value("")


def test_what_does_not_fit_is_grey_with_the_reason(place) -> None:
    """It cannot be used, and says what for; nor can a name that would end a tag."""
    page = place("fitter")
    film = card(page, "film grain.safetensors")
    expect(film).to_contain_text("Made for SDXL; your checkpoint is")
    expect(film.get_by_role("button", name="Use: film grain")).to_be_disabled()
    assert "misfit" in (film.get_attribute("class") or "")
    bold = page.locator("article.model").filter(has_text="<b>bold")
    expect(bold).to_contain_text("rename it to use it")
    assert page.locator("article.model b").count() == 0
    page.get_by_label("Only what fits").check()
    expect(film).to_have_count(0)
    expect(card(page, "art/chalk.safetensors")).to_be_visible()


def test_embedding_vae_and_checkpoint(place) -> None:
    """Each to where it belongs: negative prompt, VAE, the choice in the bar."""
    page = place("chooser")
    detail(page, "bad-shapes").get_by_role("button", name="Use in the negative prompt").click()
    expect(page.get_by_label("Negative prompt", exact=True)).to_have_value("bad-shapes")
    page.get_by_role("link", name="Models").click()
    card(page, "own.safetensors").get_by_role("button", name="Use: own").click()
    page.get_by_role("link", name="Models").click()
    expect(card(page, "own.safetensors").get_by_role("button", name="In use: own")).to_be_visible()
    card(page, "second.safetensors").get_by_role("button", name="Draw with it: second").click()
    expect(page.get_by_label("Checkpoint", exact=True)).to_have_value("second.safetensors")
    page.get_by_role("link", name="Models").click()
    expect(card(page, "second.safetensors").get_by_role("button", name="In use: second")).to_be_visible()


def test_kinds_folders_search_and_order(place) -> None:
    """Tabs count what there is; arrows go from one to the next; search is in words and notes, too."""
    page = place("searcher")
    tab = page.get_by_role("tab", name=re.compile("^LoRAs"))
    expect(tab).to_contain_text("3")
    page.get_by_role("tab", name=re.compile("^All")).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(tab).to_be_focused()
    expect(page.locator("article.model")).to_have_count(3)
    page.get_by_label("Folder", exact=True).select_option("art")
    expect(page.locator("article.model")).to_have_count(1)
    page.get_by_label("Folder", exact=True).select_option("")
    page.get_by_role("searchbox").fill("chalk STYLE")
    expect(page.locator("article.model")).to_have_count(1)
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.get_by_role("heading", name="Nothing is like that")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("article.model")).to_have_count(3)
    page.get_by_label("Order").select_option("largest")
    expect(page.locator("article.model").first).to_have_attribute("data-name", "art/chalk.safetensors")
    page.get_by_role("tab", name=re.compile("^ControlNets")).click()
    expect(page.get_by_role("heading", name="No ControlNet yet")).to_be_visible()
    expect(page.get_by_text("lets a sketch, a pose or depths")).to_be_visible()


def test_new_models_appear_by_themselves_for_everybody(place, models: Path) -> None:
    """Two people look on while a file comes by another way; nobody presses Reload, which is there."""
    pages = [place("watcher-1"), place("watcher-2")]
    # The stream is open once its first word is there.
    for page in pages:
        expect(page.get_by_role("button", name="Reload")).to_be_visible()
    networks.write(models / "Lora/late.safetensors", fitting())
    for page in pages:
        expect(card(page, "late.safetensors")).to_be_visible()
    (models / "Lora/late.safetensors").unlink()
    for page in pages:
        expect(card(page, "late.safetensors")).to_have_count(0)


def test_a_checkpoint_that_came_can_be_chosen(place, models: Path) -> None:
    """The choice in the bar follows the store."""
    page = place("watcher-3")
    shutil.copy(models / "Stable-diffusion/second.safetensors", models / "Stable-diffusion/third.safetensors")
    expect(page.locator("#checkpoint option[value='third.safetensors']")).to_have_count(1)
    (models / "Stable-diffusion/third.safetensors").unlink()


def test_another_name_and_away(place, models: Path) -> None:
    """Renamed into a folder, with the panel open on it; deleted only after a second press, for everybody."""
    networks.write(models / "Lora/short-lived.safetensors", fitting())
    page, other = place("renamer"), place("looker")
    page.get_by_role("button", name="Reload").click()
    dialog = detail(page, "short-lived")
    dialog.get_by_text("Rename or move…").click()
    dialog.get_by_label("New name").fill("lived")
    dialog.get_by_label("Folder").fill("art/new")
    dialog.get_by_role("button", name="Rename", exact=True).click()
    renamed = page.get_by_role("dialog", name="lived", exact=True)
    expect(renamed.get_by_text("art/new/lived.safetensors")).to_be_visible()
    expect(card(other, "art/new/lived.safetensors")).to_be_visible()
    renamed.get_by_text("Delete…").click()
    expect(renamed).to_contain_text("goes for everybody of this endpoint")
    renamed.get_by_role("button", name="Delete for everybody").click()
    expect(renamed).to_be_hidden()
    expect(card(page, "art/new/lived.safetensors")).to_have_count(0)
    expect(card(other, "art/new/lived.safetensors")).to_have_count(0)
    assert not (models / "Lora/art/new/lived.safetensors").exists()


def test_a_name_that_cannot_be_is_refused_in_words(place) -> None:
    """What the studio says is shown, and the panel stays with what was typed."""
    page = place("misnamer")
    dialog = detail(page, "chalk")
    dialog.get_by_text("Rename or move…").click()
    dialog.get_by_label("New name").fill("../chalk")
    dialog.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("use letters, digits")
    expect(dialog.get_by_label("New name")).to_have_value("../chalk")


def test_visitors_look_and_draw(place) -> None:
    """They see the models and use them; what changes them is not offered."""
    page = place("anonymous/1")
    expect(page.get_by_text("who is of the team brings in others")).to_be_visible()
    expect(page.get_by_label("1. Address of a model")).to_have_count(0)
    dialog = detail(page, "chalk")
    expect(dialog.get_by_role("button", name="Save")).to_have_count(0)
    expect(dialog.get_by_text("Delete…")).to_have_count(0)
    dialog.get_by_role("button", name="Use: chalk").click()
    expect(prompt(page)).to_have_value(re.compile("^<lora:chalk:"))
    assert page.faults == []


def test_by_keyboard_alone(place) -> None:
    """A card is opened, Escape closes it, and the focus is where it was."""
    page = place("typist")
    opener = page.get_by_role("button", name="About chalk", exact=True)
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="chalk", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="chalk", exact=True)).to_be_hidden()
    expect(opener).to_be_focused()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_nothing_to_find_fault_with(place, width, scheme) -> None:
    """axe has no finding of any weight, on the place and in the panel; nothing sticks out, nothing jumps."""
    page = place(f"judge-{width}-{scheme}", width, scheme=scheme)
    page.wait_for_timeout(500)
    assert findings(page) == []
    assert page.evaluate("window.shifted") < 0.1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    detail(page, "chalk")
    assert findings(page) == []
    assert page.faults == []


def test_in_another_language(place) -> None:
    """Every word of the place is in the file of its language."""
    page = place("sprecherin")
    page.evaluate("localStorage.setItem('easel:language', 'de')")
    page.reload()
    expect(page.get_by_role("tab", name=re.compile("^Alle"))).to_be_visible()
    text = page.locator("easel-models").inner_text()
    assert "models." not in text
    detail_button = page.get_by_role("button", name="Über chalk", exact=True)
    detail_button.click()
    assert "models." not in page.locator("dialog.model-detail").inner_text()
