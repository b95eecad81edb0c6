"""Infotexts: what is written can be read again, by us and by others."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager

from easel.studio.engine import TextToImage
from easel.studio.infotext import parse, quote, unquote, write
from easel.studio.infotext_drawing import schedule_type
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
    lambda text: not any(line.strip().startswith("Negative prompt:") for line in text.split("\n"))
)
values = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
keys = st.text("abcdefghijklmnopqrstuvwxyz ABC0123456789_-/", min_size=2, max_size=30).filter(
    lambda key: key.strip() == key and key[0] not in "-/"
)


def as_read(prompt: str) -> str:
    """A prompt without the space that A1111 takes off, around its lines and around the whole."""
    return "\n".join(line.strip() for line in prompt.split("\n")).strip()


@given(prompts, prompts, st.dictionaries(keys, values, min_size=3, max_size=12))
def test_what_is_written_is_read(prompt: str, negative: str, parameters: dict[str, str]) -> None:
    """parse(write(x)) is x, for any prompts and any parameter values, but for space at the ends of lines."""
    found = parse(write(prompt, negative, parameters))
    different = {key: value for key, value in parameters.items() if key != value}
    assert (found.prompt, found.negative_prompt) == (as_read(prompt), as_read(negative))
    # A key that equals its value is written as the bare key, A1111's way, and then it is no pair any more.
    if len(different) == len(parameters):
        assert found.parameters == parameters


@given(values)
def test_quoting_is_undone(value: str) -> None:
    """Every value survives quote and unquote, and a quoted one stays on its line."""
    assert unquote(quote(value)) == value
    assert "\n" not in quote(value)


@given(st.text(max_size=400))
@example("0\r\n0")
def test_any_text_can_be_read(text: str) -> None:
    """No text is an error: what has no parameters is all prompt, but for blanks around a line."""
    found = parse(text)
    lines = "\n".join(line.strip() for line in text.split("\n"))
    assert found.parameters or found.prompt + found.negative_prompt in lines or "Negative prompt:" in text


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


# A1111 1.10's keys with values as it writes them: numbers, sizes, names, hash lists, and JSON strings.
_WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30)
_NUMBERS = st.one_of(st.integers(0, 2**63).map(str), st.floats(0, 99).map(lambda value: f"{value:g}"))
_KNOWN = {
    **dict.fromkeys(("Steps", "Seed"), st.integers(0, 2**63).map(str)),
    **dict.fromkeys(
        ("CFG scale", "Image CFG scale", "Variation seed", "Variation seed strength",
         "Denoising strength", "Conditional mask weight", "Clip skip", "ENSD", "Token merging ratio",
         "Hires upscale", "Hires steps", "Mask blur", "Masked area padding", "Noise multiplier", "Eta DDIM",
         "Eta", "Sigma churn", "Refiner switch at", "Token merging ratio hr", "NGMS", "Hires CFG Scale"),
        _NUMBERS,
    ),
    **dict.fromkeys(
        ("Size", "Hires resize", "Seed resize from"),
        st.tuples(*[st.integers(64, 4096)] * 2).map("{0[0]}x{0[1]}".format),
    ),
    **dict.fromkeys(
        ("Sampler", "Schedule type", "Model", "Model hash", "VAE", "VAE hash", "Hires prompt",
         "Hires upscaler", "Hires negative prompt", "Hires sampler", "Hires checkpoint", "Lora hashes",
         "TI hashes", "Refiner",
         "RNG", "Version", "User", "ControlNet 0", "Face restoration", "Emphasis", "Masked content",
         "Inpaint area", "Mask mode", "VAE Decoder", "Style Selector Style", "ADetailer prompt"),
        _WORDS.map(str.strip).filter(bool),
    ),
}  # fmt: skip
_PARAMETERS = st.lists(st.sampled_from(sorted(_KNOWN)), min_size=3, max_size=15, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: _KNOWN[name] for name in names})
)
_BREAKS = st.sampled_from(["\n", "\r\n"])
_PADDING = st.text(" \t", max_size=3)


@given(
    prompts,
    prompts,
    _PARAMETERS,
    _BREAKS,
    _PADDING,
    _PADDING,
    st.sampled_from(["", "\n", "\r\n", " \n\n", "\t"]),
)
def test_texts_of_others_are_read_key_by_key(
    prompt: str, negative: str, parameters: dict[str, str], line_break: str, before: str, after: str, end: str
) -> None:
    """However a program ends and pads its lines: every key that A1111 knows has the value that was written,
    and nothing of the parameters becomes prompt."""
    prompt = prompt.replace("\r", "")
    text = write(prompt, negative, parameters)
    foreign = line_break.join(f"{before}{line}{after}" for line in text.split("\n")) + end
    found = parse(foreign)
    different = {key: value for key, value in parameters.items() if key != value}
    if len(different) == len(parameters):
        assert found.parameters == different
        assert found.prompt == as_read(prompt)
    request = found.request()
    for key, field in (("Seed", "seed"), ("Steps", "steps"), ("Sampler", "sampler_name")):
        if key in different:
            assert str(request[field]) == parameters[key]


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ('Steps: 1, Sampler: x, Model: "a" b, Seed: 2', "Model", '"a" b'),
        ('Steps: 1, Sampler: x, Model: "a, Seed: 2', "Model", '"a'),
        ('Steps: 1, Sampler: x, Model: "a\\"b, c", Seed: 2', "Model", 'a"b, c'),
        ('Steps: 1, Sampler: x, Model: "", Seed: 2', "Model", ""),
        ('Steps: 1, Sampler: x, Model: "a, b" , Seed: 2', "Model", "a, b"),
        ('Steps: 1, Sampler: x, Model: "\\q", Seed: 2', "Model", '"\\q"'),
        ("Steps: 1, Sampler: x, Model: a: b, Seed: 2", "Model", "a: b"),
        ("Steps: 1, Sampler: x, Model: , Seed: 2", "Model", ""),
        ("Steps: 1,Sampler: x,Model:  a ,Seed: 2", "Model", "a"),
        (
            'Steps: 1, Sampler: x, Model: a, Seed: 2, Civitai resources: [{"type":"lora","weight":1}]',
            "Seed",
            "2",
        ),
    ],
)
def test_odd_quotes(line: str, key: str, value: str) -> None:
    """A quoted value is one only up to a comma or the end; anything else is what stands there."""
    found = parse(f"a cat\n{line}\r\n")
    assert found.parameters[key] == value
    assert found.parameters["Steps"] == "1"
    assert found.parameters["Seed"] == "2"
    assert found.prompt == "a cat"


def test_lines_below_the_parameters_belong_to_them() -> None:
    """Extensions write their own lines below A1111's; they are none of the prompt."""
    found = parse(
        "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Seed: 3\n"
        "Template: a {cat|dog}\nNegative Template: x"
    )
    assert (found.prompt, found.negative_prompt) == ("a cat", "dog")
    assert found.parameters["Seed"] == "3"
    assert found.parameters["Template"] == "a {cat|dog}"


def test_what_is_not_drawn_is_told() -> None:
    """Whoever reads a text that says more than Easel does hears of each thing, and of nothing else."""
    found = parse(
        "x\nSteps: 20, Sampler: Euler, Seed: 1, Size: 64x64, Model: m, Version: v1.10.1, "
        "Denoising strength: 0.4, Hires upscale: 2, Hires upscaler: Latent, Refiner: other, "
        'ControlNet 0: "Module: canny, Weight: 1", Tiling: True, Image CFG scale: 1.5'
    )
    told = found.passed_over()
    assert len(told) == 2
    for words in ("ControlNet 0", "Image CFG scale"):
        assert words in " ".join(told)
    assert parse(SAMPLE).passed_over() == []
    assert parse("x\nSteps: 20, Sampler: Euler, Seed: 1, Version: Easel 0.1").passed_over() == []


@pytest.mark.parametrize(
    ("sampler", "chosen", "written"),
    [
        ("DPM++ 2M", "Automatic", "Karras"),
        ("DPM++ 2M SDE", "Automatic", "Exponential"),
        ("Euler a", "Automatic", "Automatic"),
        ("Euler a", "Karras", "Karras"),
        ("DPM++ 2M Karras", "Automatic", "Karras"),
        ("DDIM", "Karras", "Automatic"),
    ],
)
def test_the_schedule_is_the_one_that_was_used(sampler: str, chosen: str, written: str) -> None:
    """What Automatic came to is written, and a schedule that a sampler does not follow is not."""
    assert schedule_type(TextToImage(sampler=sampler, schedule_type=chosen)) == written
