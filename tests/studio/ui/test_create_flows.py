"""Create with a checkpoint whose network is a transformer: what it takes is there, all else is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from easel.models import Architecture
from easel.studio import checkpoint_defaults
from easel.studio.engine import SAMPLERS, of_flows
from easel.studio.engine.loading import checkpoint_loading as loading
from easel.studio.families import family
from tests.studio.engine.flow_store import FlowStore
from tests.studio.ui.modes import choose, drawn

KONTEXT = "tiny-flux-kontext.safetensors"
OTHER_T5 = "zz-t5xxl.safetensors"


@pytest.fixture(scope="module")
def kontext(running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A small one beside the studio's own checkpoints, while this module runs: drawn with as any other."""
    files = FlowStore(running.home / "models")
    files.make(Architecture.FLUX_KONTEXT, tmp_path_factory.mktemp("made"))
    written = [files.write_transformer(Architecture.FLUX_KONTEXT, KONTEXT)]
    written += files.write_parts(Architecture.FLUX_KONTEXT)
    t5 = files.texts[Architecture.FLUX_KONTEXT, "t5-xxl"]
    written.append(files.write("text_encoder", OTHER_T5, {name: one.flip(0) for name, one in t5.items()}))
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((loading, "family_of"), (checkpoint_defaults, "family")):
            patch.setattr(module, name, lambda kind: files.families.get(kind) or family(kind))
        running.studio.engine.store.refresh()
        yield KONTEXT
        for file in written:
            file.unlink()
    running.studio.engine.store.refresh()


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    found = [tmp_path / "first.png", tmp_path / "second.png"]
    for path, image in zip(
        found, (Image.linear_gradient("L"), Image.effect_noise((80, 48), 90)), strict=True
    ):
        image.convert("RGB").save(path)
    return found


def draw_with(page: Page, checkpoint: str) -> None:
    """Choose it, as somebody who comes back has."""
    answer = page.request.post(f"{page.url.split('#')[0]}studio/checkpoint", data={"name": checkpoint})
    assert answer.ok, answer.text()
    page.reload()


@pytest.mark.slow
def test_what_it_does_not_take_is_told(visit, kontext: str) -> None:
    """Its own steps, guidance and samplers; no tiling, quicker steps, refiner and ControlNet, and why; all of
    it is there again with another checkpoint."""
    page = visit("flows-page")
    draw_with(page, kontext)
    page.locator("details.advanced > summary").click()
    for label, value in (("Steps", "20"), ("CFG scale", "1"), ("Distilled CFG scale", "2.5")):
        expect(page.get_by_label(label, exact=True)).to_have_value(value)
    sampler = page.get_by_label("Sampler", exact=True)
    expect(sampler).to_have_value("Euler")
    offered = sampler.locator("option").all_inner_texts()
    assert [one.strip() for one in offered] == [one.name for one in SAMPLERS if of_flows(one) is one]
    sections = {
        name: page.locator(f"[data-section={name}]") for name in ("sampling", "refiner", "controlnet")
    }
    for section, words in zip(
        sections.values(), ("neither tiling", "no refiner", "no ControlNet"), strict=True
    ):
        expect(section).to_contain_text(words)
    assert page.get_by_label("Tiling").count() == page.get_by_label("Quicker steps").count() == 0
    assert sections["refiner"].locator("select").count() == 0
    draw_with(page, "second.safetensors")
    expect(sections["refiner"].locator("select")).to_be_visible()
    expect(page.get_by_label("Quicker steps")).to_be_visible()
    assert page.locator("easel-references").count() == 0
    assert page.faults == []


@pytest.mark.slow
def test_pictures_to_look_at(visit, kontext: str, pictures: list[Path]) -> None:
    """Chosen beside the prompt, they are sent and drawn with, with or without a source; a reload keeps them,
    and one is taken out by itself. What waits for a UNet is not sent."""
    page = visit("flows-references")
    draw_with(page, kontext)
    shown = page.locator("easel-references")
    shown.locator("input[type=file]").set_input_files(pictures)
    expect(shown.locator("li img")).to_have_count(2)
    page.reload()
    expect(shown.locator("li img")).to_have_count(2)
    page.get_by_label("Prompt", exact=True).fill("the first before the second")
    page.locator("details.advanced > summary").click()
    page.get_by_label("Steps", exact=True).fill("2")
    sent, [both] = drawn(page, "txt2img")
    assert len(sent["reference_images"]) == 2
    assert not {"tiling", "cache", "refiner_checkpoint"} & set(sent)
    with page.expect_response(re.compile("/sdapi/v1/txt2img$")) as answer:
        page.get_by_role("button", name="Vary", exact=True).click()
    assert json.loads(answer.value.request.post_data)["reference_images"] == sent["reference_images"]
    expect(page.locator(".film li:not(.all)")).to_have_count(2)
    shown.get_by_role("button", name="Remove first.png").click()
    expect(shown.locator("li img")).to_have_count(1)
    sent, [one] = drawn(page, "txt2img")
    assert len(sent["reference_images"]) == 1
    assert both.shape == one.shape
    choose(page, "image")
    expect(shown.locator("li img")).to_have_count(1)
    page.locator("easel-source input[type=file]").set_input_files(pictures[0])
    sent, [over] = drawn(page)
    assert (len(sent["reference_images"]), sent["denoising_strength"]) == (1, 1)
    assert np.asarray(over).any()
    assert page.faults == []


def test_a_text_encoder_is_chosen(visit, kontext: str) -> None:
    """Where there are several, beside the VAE; it is sent, survives a reload, and is said by the picture."""
    page = visit("flows-encoders")
    draw_with(page, kontext)
    page.locator("details.advanced > summary").click()
    chosen = page.get_by_label("Text encoder T5-XXL", exact=True)
    expect(chosen).to_have_value("Automatic")
    assert page.get_by_label("Text encoder CLIP-L").count() == 0
    chosen.select_option(OTHER_T5)
    page.reload()
    expect(chosen).to_have_value(OTHER_T5)
    page.get_by_label("Prompt", exact=True).fill("a cat")
    page.get_by_label("Steps", exact=True).fill("2")
    sent, _ = drawn(page, "txt2img")
    assert sent["override_settings"]["forge_additional_modules"] == [OTHER_T5]
    chosen.select_option("Automatic")
    sent, _ = drawn(page, "txt2img")
    assert "forge_additional_modules" not in sent["override_settings"]
    assert page.faults == []
