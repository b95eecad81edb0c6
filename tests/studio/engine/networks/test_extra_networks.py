"""Tags and embeddings' names in prompts, as A1111 reads them."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from easel.models import Store
from easel.studio.engine.networks.extra_networks import mentions, understand, without_tags


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two LoRAs, one in a folder; two embeddings, one name the beginning of the other's."""
    root = tmp_path_factory.mktemp("shelf")
    names = ("Lora/style", "Lora/people/Old Man.v2", "embeddings/easy", "embeddings/easy-negative",
             "embeddings/my style (v2)")  # fmt: skip
    for name in names:
        path = root / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"x": torch.zeros(1)}, path, {"ss_output_name": "Trained Name"} if "Old" in name else None)
    return Store(root, hashing=False)


@pytest.mark.parametrize(
    ("tag", "name", "te", "unet"),
    [
        ("<lora:style>", "style", 1, 1),
        ("<lora:style:0.5>", "style", 0.5, 0.5),
        ("<lora:style:0.5:0.25>", "style", 0.5, 0.25),
        ("<lora:style: -1 >", "style", -1, -1),
        ("<LORA:STYLE:.5>", "style", 0.5, 0.5),
        ("<lora:style:te=0.5>", "style", 0.5, 0.5),
        ("<lora:style:unet=0.5>", "style", 1, 0.5),
        ("<lora:style:0.3:unet=0.5>", "style", 0.3, 0.5),
        ("<lora:Old Man.v2:1>", "Old Man.v2", 1, 1),
        ("<lora:people/Old Man.v2:1>", "Old Man.v2", 1, 1),
        (r"<lora:people\Old Man.v2:1>", "Old Man.v2", 1, 1),
        ("<lora:trained name:1>", "Old Man.v2", 1, 1),
        ("<lyco:style:1>", "style", 1, 1),
    ],
)
def test_tags(shelf: Store, tag: str, name: str, te: float, unet: float) -> None:
    """A tag is a name and one or two weights, by place or by name; text encoder first, as in A1111."""
    asked = understand(f"a {tag}b", "", shelf)
    (use,) = asked.loras
    assert (use.name, use.te, use.unet) == (name, te, unet)
    assert asked.prompt == "a b"
    assert asked.notes == ()


def test_named_twice(shelf: Store) -> None:
    """A LoRA named twice counts with the sum of its weights, whatever it is called by."""
    asked = understand("<lora:style:0.5><lora:style.safetensors:0.25:0>", "", shelf)
    assert [(use.te, use.unet) for use in asked.loras] == [(0.75, 0.5)]


def test_tags_in_the_negative_prompt(shelf: Store) -> None:
    """They count for nothing there, and the answer says so instead of encoding them as words."""
    asked = understand("a", "b <lora:style:1>", shelf)
    assert asked.loras == ()
    assert asked.negative_prompt == "b "
    assert "in the prompt only" in asked.notes[0]


def test_tags_in_editing(shelf: Store) -> None:
    """Tags are taken out first, as in A1111: in an editing they are at work at every step."""
    asked = understand("[<lora:style:1>a:b<lora:old man.v2:0.5>:0.5]", "", shelf)
    assert asked.prompt == "[a:b:0.5]"
    assert [(use.name, use.te) for use in asked.loras] == [("style", 1), ("Old Man.v2", 0.5)]


def test_switched_off(shelf: Store) -> None:
    """Without extra networks tags are taken out, and nothing is looked for."""
    asked = understand("a <lora:nothing:1> easy", "<lora:style:x>", shelf, active=False)
    assert (asked.prompt, asked.loras, asked.embeddings, asked.notes) == ("a  easy", (), (), ())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("EASY-negative", {"easy", "easy-negative"}),
        ("something else", set()),
        ("背景easy", {"easy"}),
        ("(easy - negative:1.2)", {"easy", "easy-negative"}),
        (r"in my style \(v2\), red", {"my style (v2)"}),
        ("my style (v2)", set()),
        ("easily", set()),
        ("[ea|x|un]sy", {"easy"}),
        ("[x:easy:0.5]", {"easy"}),
        ("[[easy|x]:y:0.5]", {"easy"}),
    ],
)
def test_what_may_be_meant(shelf: Store, text: str, names: set[str]) -> None:
    """Every embedding whose letters stand in a stretch of one weight may be meant; tokens tell which is.

    Brackets that are escaped are part of a name, those that are not weigh.
    """
    assert {use.name for use in understand(text, "", shelf).embeddings} == names
    assert mentions([]) is None


@given(st.text(alphabet=st.sampled_from("<>:lora=.,-15 \nstyeau"), max_size=200))
def test_any_text_is_understood(shelf: Store, text: str) -> None:
    """No prompt is an error; what is no tag stays as it is."""
    asked = understand(text, text, shelf)
    assert asked.prompt == without_tags(text)
    if "<" not in text:
        assert asked.prompt == text


@pytest.mark.parametrize(
    "text",
    ["<a:" * 6000, "<lora:" + "x" * 20_000, "easy-" * 4000, "[" + "easy|" * 4000 + "]", "<lora:a:1>" * 2000],
)
def test_a_prompt_made_to_be_slow(shelf: Store, text: str) -> None:
    """Cost grows with the length, no faster."""
    began = time.process_time()
    understand(text, text, shelf)
    assert time.process_time() - began < 5.0
