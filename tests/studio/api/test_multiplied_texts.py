"""Small requests that ask for much: refused before it is there, and nobody else waits meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from easel.studio.api.scripts.plot_axes import axis_named
from easel.studio.engine import InvalidRequest, Style, Wildcards, apply_styles, expand
from easel.studio.engine.prompts.emphasis import spans
from easel.studio.engine.prompts.schedule import schedule
from easel.studio.engine.prompts.variants import read
from easel.studio.infotext import parse
from easel.studio.library.plain_text import prose

QUICK = {"steps": 1, "width": 64, "height": 64}


@contextmanager
def at_once(seconds: float = 0.5) -> Iterator[None]:
    """What is within takes no more of this thread's processor time."""
    began = time.thread_time()
    yield
    assert time.thread_time() - began < seconds


def refused(answer: httpx.Response, field: str) -> None:
    """In words that name the field and what is allowed."""
    assert answer.status_code == 422, answer.text[:300]
    assert f"{field} is " in answer.json()["errors"]
    assert "allowed: up to" in answer.json()["errors"]


def test_styles_of_styles(running) -> None:
    """A style of 6,000 places, three times, would be 10^12 letters: looked at before it is put together."""
    style = {"name": "many", "prompt": "{prompt}" * 6000, "negative_prompt": ""}
    with running.ask("bomber") as bomber:
        assert bomber.post("/studio/styles/own", json=style).status_code == 201
        asked = {**QUICK, "prompt": "ab", "styles": ["many"] * 3}
        refused(bomber.post("/sdapi/v1/txt2img", json=asked), "prompt")
        later = {"Prefer": "respond-async"}
        refused(bomber.post("/sdapi/v1/txt2img", json=asked, headers=later), "prompt")
        assert bomber.delete("/studio/styles/own", params={"name": "many"}).status_code == 204
    with at_once(), pytest.raises(InvalidRequest, match="hr_prompt"):
        apply_styles([Style("s", "x" * 50_000)] * 100_000, "a", "", ("hr_prompt", "hr_negative_prompt"))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": "a" * 20_000, "script_name": "x/y/z plot",
          "script_args": ["Prompt S/R", "a," + "b" * 100_000, "", 0, "", "", 0, "", ""]}, "prompt"),
        ({"prompt": "|".join(["a" * 100_000] * 11), "script_name": "prompt matrix"}, "prompt"),
        ({"negative_prompt": "a" * 1_000_000, "script_name": "prompts from file or textbox",
          "script_args": [False, False, "start", "x\n" * 1600]}, "negative_prompt"),
        ({"script_name": "prompts from file or textbox",
          "script_args": [False, False, "start", "--prompt " + "a" * 900_000]}, "script_args.List of prompt"),
        ({"hr_prompt": "a" * 1_000_000}, "hr_prompt"),
        ({"infotext": "a" * 1_000_001}, "infotext"),
        ({"infotext": "b" * 900_000 + "\nSteps: 1, Seed: 1, Size: 64x64"}, "prompt"),
    ],
)  # fmt: skip
def test_scripts_multiply_no_long_text(ada, fields: dict[str, Any], field: str) -> None:
    """A thousand requests of a long prompt are not made before it is seen that it is too long."""
    answer = ada.post("/sdapi/v1/txt2img", json={**QUICK, **fields})
    assert answer.status_code == 422, answer.text[:300]
    assert answer.json()["errors"].startswith(field), answer.json()["errors"][:200]


@pytest.mark.parametrize("values", ["1-" + " " * 100_000 + "x", "1" * 200_000, '"' + "1," * 100_000])
def test_values_of_an_axis(values: str) -> None:
    """What is no number is none, however long."""
    with at_once(), pytest.raises(InvalidRequest, match=r"script_args\.Steps"):
        axis_named("txt2img", "Steps", "").values(values, "", as_text=True)


def test_prompts_are_read_in_their_length() -> None:
    """Numbers that do not end, and space: of the longest prompt that there is."""
    with at_once():
        spans(":" + "1" * 19_990 + "x")
        schedule("[a:b:" + "1" * 19_990 + "x]", 20)
        read("{" + " " * 19_990 + "a|b}")


@pytest.mark.parametrize(
    "text",
    ["{" * 9990 + "}" * 9990, "{a" * 6660 + "}" * 6660, "{a$$" * 3990 + "}" * 3990, "(" * 9990 + ")" * 9990,
     "[" * 9990 + "]" * 9990, "[a|" * 4990 + "]" * 4990, "[a:" * 1990 + ":1]" * 1990,
     "{a|" * 4990 + "}" * 4990],
)  # fmt: skip
def test_brackets_in_brackets(text: str) -> None:
    """Thousands deep: in the time of the prompt's length, for each picture reads its own."""
    with at_once():
        read(text)
        spans(text)
        schedule(text, 20)
        expand(text, 1, Wildcards())


def test_infotexts_are_read_in_their_length() -> None:
    """A line that begins as parameters do and is none, a hundred thousand times."""
    with at_once(3):
        assert not parse("a prompt\n" + "Steps: 1\n" * 100_000 + "x").parameters


@pytest.mark.parametrize("piece", ["<a ", "<!--", "<![", "<a b='", "</", "<?", "&#", "<script>", "<"])
def test_descriptions_are_read_in_their_length(piece: str) -> None:
    """What a model's author wrote for its page: Python's own reader took forty seconds, or stopped."""
    with at_once():
        assert "<a" not in prose(piece * (40_000 // len(piece)))
    assert prose("<p>one <b>two</b><br>three &amp; 1 < 2</p><style>no {}</style><!-- no --> four") == (
        "one two\nthree & 1 < 2 four"
    )


def test_a_name_of_space(running) -> None:
    """What a checkpoint is called is looked for in the time of its length."""
    store = running.studio.engine.store
    title = f"{running.studio.checkpoint('ada').name}  [17d9331ab6] "
    assert store.find_checkpoint(title).name == running.studio.checkpoint("ada").name
    with at_once(), pytest.raises(Exception, match="not found"):
        store.find_checkpoint(" " * 100_000 + "x")
