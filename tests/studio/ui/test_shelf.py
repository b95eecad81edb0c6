"""LoRAs and embeddings beside the prompt: in by a click, out by another, on Create."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
import torch
from playwright.sync_api import expect

from tests.studio import networks
from tests.studio.ui.conftest import findings

OF_SDXL = {"lora_unet_x_attn2_to_k.lora_down.weight": torch.zeros(4, 2048)}


@pytest.fixture(scope="module")
def models(running) -> Iterator[None]:
    """Two LoRAs that fit, one of them with words, one that does not, and an embedding."""
    root = running.home / "models"
    networks.write(root / "Lora/art/chalk.safetensors", networks.kohya(networks.pairs(1)))
    (root / "Lora/art/chalk.json").write_text('{"activation text": "dust", "preferred weight": 0.7}')
    networks.write(root / "Lora/ink.safetensors", networks.kohya(networks.pairs(2)))
    networks.write(root / "Lora/of sdxl.safetensors", OF_SDXL)
    networks.write(root / "embeddings/bad-hands.safetensors", {"emb_params": networks.embedding()})
    running.studio.engine.store.refresh()
    yield
    for folder in ("Lora", "embeddings"):
        shutil.rmtree(root / folder)
    running.studio.engine.store.refresh()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), pytest.param(390, 844, marks=pytest.mark.slow)])
def test_several_are_put_in_without_leaving_create(models: None, visit, width: int, height: int) -> None:
    """Each with its words and weight; what does not fit is counted, and a search finds by words too."""
    page = visit(f"shelf-{width}", width, height)
    prompt = page.get_by_label("Prompt", exact=True)
    prompt.fill("a red circle")
    page.get_by_role("button", name="+ LoRA").click()
    shelf = page.locator(".shelf")
    tile = shelf.locator(".shelf-tile")
    expect(tile).to_have_text(["chalk", "ink"])
    expect(shelf).to_contain_text("1 does not fit your checkpoint.")
    expect(shelf.get_by_role("searchbox")).to_be_focused()
    assert findings(page) == []
    tile.nth(0).click()
    tile.nth(1).click()
    expect(prompt).to_have_value("a red circle <lora:chalk:0.7>, dust <lora:ink:1>")
    expect(tile.nth(1)).to_have_attribute("aria-pressed", "true")
    tile.nth(1).click()
    shelf.get_by_role("searchbox").fill("dust")
    expect(tile).to_have_text(["chalk"])
    shelf.get_by_role("searchbox").fill("")
    shelf.get_by_role("button", name="Embeddings").click()
    shelf.get_by_label("Into the negative prompt").check()
    tile.click()
    expect(prompt).to_have_value("a red circle <lora:chalk:0.7>, dust")
    expect(page.get_by_label("Negative prompt", exact=True)).to_have_value("bad-hands")
    page.keyboard.press("Escape")
    expect(shelf).to_be_hidden()
    assert page.faults == []
