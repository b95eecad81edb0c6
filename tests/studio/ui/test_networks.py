"""LoRA cards, embeddings and the VAE selector on the page."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.studio import networks
from tests.studio.ui.conftest import until
from tests.studio.ui.test_page import TEXT, quick

PROMPT = "#prompt textarea"


@pytest.fixture(scope="module")
def models(running) -> Iterator[Path]:
    """Two LoRAs, one with preview and trained words and one with a name made to break a page."""
    root = running.home / "models"
    networks.write(root / "Lora/chalk.safetensors", networks.kohya(networks.pairs(1)))
    Image.new("RGB", (640, 480), "pink").save(root / "Lora/chalk.preview.png")
    info = {"trainedWords": ["chalk style", "<img src=x onerror=alert(1)>"], "baseModel": "Easel starter"}
    (root / "Lora/chalk.civitai.info").write_text(json.dumps(info))
    networks.write(root / 'Lora/"quoted" & <b>bold.safetensors', networks.kohya(networks.pairs(2)))
    networks.write(root / "embeddings/bad-shapes.safetensors", {"emb_params": networks.embedding()})
    networks.write(root / "VAE/own.safetensors", networks.own_vae())
    running.studio.engine.store.refresh()
    yield root
    for folder in ("Lora", "embeddings", "VAE"):
        shutil.rmtree(root / folder)
    running.studio.engine.store.refresh()


def value(page: Page) -> str:
    return page.locator(PROMPT).input_value()


@pytest.mark.parametrize("width", [1280, 390])
def test_cards_write_into_the_prompt(models, visit, width) -> None:
    """A card inserts its tag, again takes it out, whatever weight it has got; nothing in a file runs."""
    page = visit(f"collector-{width}", width=width)
    page.locator(PROMPT).fill("a red circle")
    page.get_by_text("LoRAs and embeddings").click()
    card = page.locator("#cards [data-insert='<lora:chalk:1>']")
    expect(card).to_be_visible()
    until(page, "document.querySelector('#cards img').naturalWidth === 320")
    card.click()
    expect(page.locator(PROMPT)).to_have_value("a red circle <lora:chalk:1>")
    page.get_by_role("button", name="chalk style").click()
    expect(page.locator(PROMPT)).to_have_value("a red circle <lora:chalk:1>, chalk style")
    page.locator(PROMPT).fill("a red circle <lora:chalk:0.4>, blue")
    card.click()
    expect(page.locator(PROMPT)).to_have_value("a red circle, blue")
    page.locator("#negative textarea").focus()
    page.locator("#cards .chips button").click()
    expect(page.locator("#negative textarea")).to_have_value("bad-shapes")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator("#cards img").count() == 1
    assert page.faults == []


def test_a_picture_with_a_lora(models, visit) -> None:
    """What a card inserted is drawn with; what is not there is said above the picture."""
    page = visit("drawer")
    quick(page, "a red circle")
    page.get_by_text("LoRAs and embeddings").click()
    page.locator("#cards [data-insert='<lora:chalk:1>']").click()
    page.locator("#generate").click()
    said = re.compile(r'<lora:chalk:1>\n[\s\S]*Lora hashes: "chalk: [0-9a-f]{12}"')
    expect(page.locator(TEXT)).to_have_value(said)
    page.locator(PROMPT).fill("a red circle <lora:chlak:1>")
    page.locator("#generate").click()
    expect(page.locator("#stage .notice.bad")).to_contain_text("did you mean 'chalk")


def test_a_vae_of_ones_own(models, running, visit) -> None:
    """The VAE chosen here is drawn with, stays for the next visit, and is nobody else's."""
    page = visit("vae-chooser")
    page.locator("#vae input").click()
    page.get_by_role("option", name="own.safetensors").click()
    quick(page, "a red circle")
    page.locator("#generate").click()
    expect(page.locator(TEXT)).to_have_value(re.compile("VAE: own.safetensors,"))
    page.reload()
    expect(page.locator("#vae input")).to_have_value("own.safetensors")
    other = visit("vae-other")
    expect(other.locator("#vae input")).to_have_value("Automatic")


def test_reload_finds_new_files(models, visit) -> None:
    """A LoRA that was put there while the page was open is a card after Reload."""
    page = visit("reloader")
    page.get_by_text("LoRAs and embeddings").click()
    networks.write(models / "Lora/late.safetensors", networks.kohya(networks.pairs(3)))
    page.locator("#reload-networks").click()
    expect(page.locator("#cards [data-insert='<lora:late:1>']")).to_be_visible()
