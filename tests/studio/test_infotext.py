"""Infotexts: what is written can be read again, by us and by others."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager

from easel.studio.infotext import parse, quote, unquote, write
from easel.studio.png import encode

SAMPLE = (
    "a woman, photo <lora:AnnaYamada:1>.\n"
    "Negative prompt: low quality, blurry, text\n"
    "Steps: 40, Sampler: DPM adaptive, Schedule type: Automatic, CFG scale: 7, Seed: 524982011, "
    "Size: 704x832, Clip skip: 2, Model: darkSushiMixMix_225D, Version: v1.10.1"
)
PARAMETERS = {
    "Steps": 20,
    "Sampler": "Euler a",
    "Schedule type": "Automatic",
    "CFG scale": 7,
    "Seed": 1,
    "Size": "128x64",
    "Model hash": "0123456789",
    "Model": "easel-starter",
}
# A line that starts like the negative prompt ends the prompt; the format has no way around that.
prompts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200).filter(
    lambda text: not any(line.startswith("Negative prompt:") for line in text.split("\n"))
)
values = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
keys = st.text("abcdefghijklmnopqrstuvwxyz ABC0123456789_-/", min_size=2, max_size=30).filter(
    lambda key: key.strip() == key and key[0] not in "-/"
)


@given(prompts, prompts, st.dictionaries(keys, values, min_size=3, max_size=12))
def test_what_is_written_is_read(prompt: str, negative: str, parameters: dict[str, str]) -> None:
    """parse(write(x)) is x, for any prompts and any parameter values."""
    found = parse(write(prompt, negative, parameters))
    different = {key: value for key, value in parameters.items() if key != value}
    assert (found.prompt, found.negative_prompt) == (prompt, negative)
    # A key that equals its value is written as the bare key, A1111's way, and then it is no pair any more.
    if len(different) == len(parameters):
        assert found.parameters == parameters


@given(values)
def test_quoting_is_undone(value: str) -> None:
    """Every value survives quote and unquote, and a quoted one stays on its line."""
    assert unquote(quote(value)) == value
    assert "\n" not in quote(value)


@given(st.text(max_size=400))
def test_any_text_can_be_read(text: str) -> None:
    """No text is an error: what has no parameters is all prompt."""
    found = parse(text)
    assert found.parameters or found.prompt + found.negative_prompt in text or "Negative prompt:" in text


def test_a_text_of_a1111s() -> None:
    """A real infotext is read field by field, and turned into a request."""
    found = parse(SAMPLE)
    assert found.negative_prompt == "low quality, blurry, text"
    assert found.parameters["Sampler"] == "DPM adaptive"
    assert found.request() == {
        "prompt": "a woman, photo <lora:AnnaYamada:1>.",
        "negative_prompt": "low quality, blurry, text",
        "steps": 40,
        "sampler_name": "DPM adaptive",
        "scheduler": "Automatic",
        "cfg_scale": 7.0,
        "seed": 524982011,
        "width": 704,
        "height": 832,
        "override_settings": {"sd_model_checkpoint": "darkSushiMixMix_225D", "CLIP_stop_at_last_layers": 2},
    }


@pytest.mark.parametrize(
    "text", ["", "a cat", "a cat: sitting, on: a mat", "Steps: 20", "\n\n", "Negative prompt:"]
)
def test_text_without_parameters(text: str) -> None:
    """Fewer than three pairs are words of the prompt, not parameters."""
    assert parse(text).parameters == {}


def test_numbers_that_are_none_are_left_out() -> None:
    """A parameter that cannot be read is not guessed."""
    found = parse("x\nSteps: many, CFG scale: high, Seed: 9" + "9" * 50 + ", Size: bigxsmall, Model: a")
    assert found.request() == {
        "prompt": "x",
        "negative_prompt": "",
        "override_settings": {"sd_model_checkpoint": "a"},
    }


@pytest.mark.parametrize(
    "line", ['a:"' * 40_000, " " * 100_000, "a" * 100_000, "a :" * 40_000, '"\\' * 50_000]
)
def test_hostile_lines_take_no_time(line: str) -> None:
    """Reading is linear: a text made to be slow is read in a moment."""
    began = time.perf_counter()
    parse("x\n" + line)
    assert time.perf_counter() - began < 3


@pytest.mark.parametrize(
    "prompt", ["a red circle, on blue", "ein größer Kreis ★", "two\nlines", 'say "hi": loudly']
)
def test_others_read_our_pictures(prompt: str, tmp_path) -> None:
    """sd-parsers, which knows nothing of Easel, finds prompts, sampler and model in our PNGs."""
    path = tmp_path / "picture.png"
    text = write(prompt, "blurry, dark", PARAMETERS)
    path.write_bytes(encode(Image.new("RGB", (8, 8)), text))
    found = ParserManager().parse(path)
    assert [one.value for one in found.prompts] == [prompt]
    assert [one.value for one in found.negative_prompts] == ["blurry, dark"]
    (sampler,) = found.samplers
    assert sampler.name == "Euler a"
    assert sampler.parameters["steps"] in (20, "20")
    assert [model.name for model in found.models] == ["easel-starter"]


def test_keys_keep_a1111s_order() -> None:
    """Steps come first and the version last, as other programs expect."""
    text = write("x", "", {**PARAMETERS, "Version": "Easel 1.0"})
    assert text.split("\n")[-1] == (
        "Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 128x64, "
        "Model hash: 0123456789, Model: easel-starter, Version: Easel 1.0"
    )
